//! What filters let pass, that equal ones are one, and that none is larger than its limits.

use super::*;
use crate::random::Random;

fn topic(text: &str) -> Expression {
    Expression::Topic(text.into())
}

fn more(field: &str, than: i64) -> Expression {
    Expression::Field(field.into(), Comparison::Greater, Value::Int(than))
}

fn not(inner: Expression) -> Expression {
    Expression::Not(Box::new(inner))
}

fn filter(expression: &Expression) -> Filter {
    Filter::new(expression).unwrap()
}

fn subject(topic: &str, fields: &[(&str, Value)]) -> Subject {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Subject { topic: topic.into(), fields }
}

/// A random expression over few topics and fields, so that many mean the same.
fn drawn(random: &mut Random, levels: usize) -> Expression {
    let name = ["a", "b", "a.b"][(random.draw() % 3) as usize].to_owned();
    let several = |random: &mut Random| (0..random.draw() % 4).map(|_| drawn(random, levels - 1)).collect();
    match random.draw() % if levels > 1 { 9 } else { 6 } {
        0 => Expression::Everything,
        1 => Expression::Nothing,
        2 => Expression::Topic(name),
        3 => Expression::Under(name),
        4 => Expression::Has(name),
        5 => {
            let comparison = [Comparison::Equal, Comparison::Less, Comparison::Greater][(random.draw() % 3) as usize];
            let value =
                [Value::Bool(true), Value::Int(1), Value::Text("x".into())][(random.draw() % 3) as usize].clone();
            Expression::Field(name, comparison, value)
        }
        6 => not(drawn(random, levels - 1)),
        7 => Expression::And(several(random)),
        _ => Expression::Or(several(random)),
    }
}

fn drawn_subject(random: &mut Random) -> Subject {
    let topics = ["a", "b", "a.b", "ab", "a.b.c", ""];
    let values = [Value::Bool(false), Value::Int(0), Value::Int(2), Value::Text("x".into()), Value::Text("y".into())];
    let mut fields = Vec::new();
    for name in ["a", "b"] {
        if random.draw().is_multiple_of(2) {
            fields.push((name, values[(random.draw() % 5) as usize].clone()));
        }
    }
    subject(topics[(random.draw() % 6) as usize], &fields)
}

#[test]
fn events_pass_by_topic_and_fields() {
    let full = subject("disk.full", &[("percent", Value::Int(97)), ("host", Value::Text("a".into()))]);
    let under = |text: &str| Expression::Under(text.into());
    let field = |comparison, value| Expression::Field("percent".into(), comparison, value);
    let cases = [
        (Expression::Everything, true),
        (Expression::Nothing, false),
        (topic("disk.full"), true),
        (topic("disk"), false),
        (under("disk"), true),
        (under("disk.full"), true),
        (under("dis"), false),
        (under("disk."), false),
        (Expression::Has("host".into()), true),
        (Expression::Has("port".into()), false),
        (field(Comparison::Equal, Value::Int(97)), true),
        (field(Comparison::Less, Value::Int(97)), false),
        (field(Comparison::Greater, Value::Int(96)), true),
        (field(Comparison::Less, Value::Text("98".into())), false),
        (field(Comparison::Greater, Value::Bool(false)), false),
        (Expression::And(vec![under("disk"), more("percent", 90)]), true),
        (Expression::And(vec![under("disk"), more("percent", 99)]), false),
        (Expression::Or(vec![topic("x"), more("percent", 90)]), true),
        (not(more("port", 90)), true),
        (Expression::And(Vec::new()), true),
        (Expression::Or(Vec::new()), false),
    ];
    for (expression, passes) in cases {
        assert_eq!(filter(&expression).passes(&full), passes, "{expression:?}");
    }
}

#[test]
fn equal_filters_are_one() {
    let (a, b, c) = (topic("a"), topic("b"), more("c", 1));
    let and = |parts: &[&Expression]| Expression::And(parts.iter().map(|part| (*part).clone()).collect());
    let or = |parts: &[&Expression]| Expression::Or(parts.iter().map(|part| (*part).clone()).collect());
    let same = [
        (and(&[&a, &b]), and(&[&b, &a, &b])),
        (and(&[&a, &and(&[&b, &c])]), and(&[&and(&[&c, &a]), &b])),
        (or(&[&a]), a.clone()),
        (not(not(a.clone())), a.clone()),
        (not(and(&[&a, &b])), or(&[&not(b.clone()), &not(a.clone())])),
        (and(&[&a, &Expression::Everything]), a.clone()),
        (and(&[&a, &Expression::Nothing]), Expression::Nothing),
        (or(&[&a, &not(a.clone())]), Expression::Everything),
        (and(&[&a, &not(a.clone())]), not(Expression::Everything)),
    ];
    for (one, other) in same {
        assert_eq!(filter(&one), filter(&other), "{one:?}");
        assert_eq!(filter(&one).hash(), filter(&other).hash());
    }
    assert_ne!(filter(&a).hash(), filter(&b).hash());
    assert_ne!(filter(&and(&[&a, &b])), filter(&or(&[&a, &b])));
}

#[test]
fn the_canonical_form_means_the_same_and_is_read_back() {
    let mut random = Random::new(1);
    let mut large = 0;
    for _ in 0..3_000 {
        let expression = drawn(&mut random, 4);
        let Ok(made) = Filter::new(&expression) else {
            large += 1;
            continue;
        };
        assert_eq!(Filter::decode(made.octets()).as_ref(), Ok(&made));
        assert_eq!(Filter::new(&made.root).as_ref(), Ok(&made), "the form of a form is itself");
        for _ in 0..20 {
            let subject = drawn_subject(&mut random);
            assert_eq!(made.passes(&subject), judge(&expression, &subject), "{expression:?} on {subject:?}");
        }
    }
    assert!(large < 100, "{large} of 3000 were too large");
}

#[test]
fn only_canonical_octets_are_a_filter() {
    let made = filter(&Expression::And(vec![topic("a"), topic("b")]));
    let octets = made.octets().to_vec();
    for cut in 0..octets.len() {
        assert!(Filter::decode(&octets[..cut]).is_err());
    }
    assert_eq!(Filter::decode(&[octets.as_slice(), &[0]].concat()), Err(FilterError::Malformed));
    let swapped = [7, 2, 2, 1, b'b', 2, 1, b'a'];
    assert_eq!(Filter::decode(&swapped), Err(FilterError::Malformed), "out of order");
    assert_eq!(Filter::decode(&[7, 1, 2, 1, b'a']), Err(FilterError::Malformed), "an `And` of one");
    assert_eq!(Filter::decode(&[6, 0]), Err(FilterError::Malformed), "not everything is nothing");
    assert_eq!(Filter::decode(&[9]), Err(FilterError::Malformed));
    assert_eq!(Filter::decode(&vec![0; MAX_FILTER + 1]), Err(FilterError::TooLarge));
    assert_eq!(Filter::decode(&[6; 1_000]), Err(FilterError::Malformed), "too deep");
    let mut random = Random::new(2);
    for _ in 0..20_000 {
        let octets: Vec<u8> = (0..random.draw() % 24).map(|_| (random.draw() % 10) as u8).collect();
        if let Ok(read) = Filter::decode(&octets) {
            assert_eq!(read.octets(), octets);
        }
    }
}

#[test]
fn filters_are_bounded() {
    let tests = |count: i64| Expression::Or((0..count).map(|number| more("x", number)).collect());
    assert!(Filter::new(&tests(MAX_TESTS as i64 - 1)).is_ok());
    assert_eq!(Filter::new(&tests(MAX_TESTS as i64)), Err(FilterError::TooLarge));
    let nested = |levels| (1..levels).fold(topic("x"), |inner, _| not(inner));
    assert!(Filter::new(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(Filter::new(&nested(MAX_DEPTH + 1)), Err(FilterError::TooLarge));
    assert!(Filter::new(&topic(&"x".repeat(255))).is_ok());
    assert_eq!(Filter::new(&topic(&"x".repeat(256))), Err(FilterError::TooLarge));
    let long = (0..20).map(|number| topic(&format!("{number:0255}"))).collect();
    assert_eq!(Filter::new(&Expression::Or(long)), Err(FilterError::TooLarge));
}

#[test]
fn subjects_are_read_back() {
    let mut random = Random::new(3);
    for _ in 0..200 {
        let subject = drawn_subject(&mut random);
        let mut octets = Vec::new();
        assert!(subject.encode(&mut octets));
        for cut in 0..octets.len() {
            assert_eq!(Subject::decode(&octets[..cut]), None);
        }
        octets.extend_from_slice(b"body");
        assert_eq!(Subject::decode(&octets), Some((subject, &b"body"[..])));
    }
    let many = Subject { topic: "x".into(), fields: vec![("y".into(), Value::Int(1)); MAX_FIELDS + 1] };
    let mut octets = vec![1];
    assert!(!many.encode(&mut octets) && octets == [1]);
}

#[test]
fn a_filter_is_kept_once_and_gone_with_the_last_who_wants_it() {
    let mut set = FilterSet::default();
    let (a, b) = (filter(&topic("a")), filter(&topic("b")));
    for subscriber in [1, 2, 3] {
        set.insert(subscriber, a.clone()).unwrap();
    }
    set.insert(3, b.clone()).unwrap();
    assert_eq!((set.count(a.hash()), set.count(b.hash()), set.len()), (2, 1, (2, 3)));
    let wanted = |set: &FilterSet<i32>, topic| {
        let mut who = Vec::new();
        set.judge(&subject(topic, &[]), |subscriber| who.push(subscriber));
        who
    };
    assert_eq!((wanted(&set, "a"), wanted(&set, "b"), wanted(&set, "c")), (vec![1, 2], vec![3], vec![]));
    assert!(set.remove(1) && set.remove(2) && !set.remove(2));
    assert_eq!((set.count(a.hash()), set.len(), set.filter(3)), (0, (1, 1), Some(&b)));
    assert!(set.remove(3) && set.is_empty());
}

#[test]
fn sets_are_bounded() {
    let mut set = FilterSet::default();
    let different = |number: usize| filter(&topic(&number.to_string()));
    (0..MAX_FILTERS).for_each(|number| set.insert(number, different(number)).unwrap());
    assert_eq!(set.insert(MAX_FILTERS, different(MAX_FILTERS)), Err(Full));
    assert_eq!(set.insert(0, different(MAX_FILTERS)), Ok(()), "instead of one that goes");
    (MAX_FILTERS..MAX_SUBSCRIBERS).for_each(|number| set.insert(number, different(1)).unwrap());
    assert_eq!(set.insert(MAX_SUBSCRIBERS, different(1)), Err(Full));
    assert_eq!(set.len(), (MAX_FILTERS, MAX_SUBSCRIBERS));
}
