//! The canonical form: negations stand only before tests, an `And` or `Or` holds two or more different parts in order,
//! none of its own kind and none that is constant.

use super::{Expression, FilterError, MAX_DEPTH, MAX_TESTS};

/// That an expression is within the limits of filters.
pub(super) fn bounded(expression: &Expression) -> Result<(), FilterError> {
    let mut left = MAX_TESTS;
    if fits(expression, MAX_DEPTH, &mut left) { Ok(()) } else { Err(FilterError::TooLarge) }
}

/// The canonical form of an expression, or of its opposite. It has no more tests, and no more levels but for a negation
/// that went down to them.
pub(super) fn form(expression: &Expression, opposite: bool) -> Expression {
    match (expression, opposite) {
        (Expression::Everything, false) | (Expression::Nothing, true) => Expression::Everything,
        (Expression::Nothing, false) | (Expression::Everything, true) => Expression::Nothing,
        (Expression::Not(inner), _) => form(inner, !opposite),
        (Expression::And(parts), false) | (Expression::Or(parts), true) => joined(parts, opposite, true),
        (Expression::Or(parts), false) | (Expression::And(parts), true) => joined(parts, opposite, false),
        (
            test @ (Expression::Topic(_) | Expression::Under(_) | Expression::Has(_) | Expression::Field(..)),
            opposite,
        ) => {
            if opposite {
                Expression::Not(Box::new(test.clone()))
            } else {
                test.clone()
            }
        }
    }
}

/// The conjunction (`all`) or disjunction of the forms of `parts`.
fn joined(parts: &[Expression], opposite: bool, all: bool) -> Expression {
    let (neutral, decisive) = match all {
        true => (Expression::Everything, Expression::Nothing),
        false => (Expression::Nothing, Expression::Everything),
    };
    let mut flat = Vec::new();
    for part in parts {
        match form(part, opposite) {
            Expression::And(inner) if all => flat.extend(inner),
            Expression::Or(inner) if !all => flat.extend(inner),
            same if same == neutral => {}
            other => flat.push(other),
        }
    }
    flat.sort();
    flat.dedup();
    let contradicts = |part: &Expression| match part {
        Expression::Not(inner) => flat.binary_search(inner).is_ok(),
        _ => *part == decisive,
    };
    if flat.iter().any(contradicts) {
        return decisive;
    }
    match flat.len() {
        0 => neutral,
        1 => flat.pop().unwrap_or(neutral),
        _ if all => Expression::And(flat),
        _ => Expression::Or(flat),
    }
}

/// Whether an expression has at most `levels` levels and `left` parts, which is lowered.
fn fits(expression: &Expression, levels: usize, left: &mut usize) -> bool {
    let (Some(levels), Some(rest)) = (levels.checked_sub(1), left.checked_sub(1)) else { return false };
    match expression {
        Expression::Not(inner) => fits(inner, levels, left),
        Expression::And(parts) | Expression::Or(parts) => {
            *left = rest;
            parts.iter().all(|part| fits(part, levels, left))
        }
        Expression::Everything
        | Expression::Nothing
        | Expression::Topic(_)
        | Expression::Under(_)
        | Expression::Has(_)
        | Expression::Field(..) => {
            *left = rest;
            true
        }
    }
}
