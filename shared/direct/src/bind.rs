//! Values as the Data API binds them: text as `text`, a long as `bigint`, and PostgreSQL does no guessing.

use std::error::Error;

use shared::endpoint::{ErrorClass, Execution, Failure, Value};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

/// One value, to be bound as [`Bound::ty`].
#[derive(Debug)]
pub(crate) struct Bound<'a>(&'a Value);

impl Bound<'_> {
    /// The type it is bound as. A NULL has none of its own: PostgreSQL infers it.
    pub(crate) fn ty(&self) -> Type {
        match self.0 {
            Value::Null => Type::UNKNOWN,
            Value::Text(_) => Type::TEXT,
            Value::Long(_) => Type::INT8,
            Value::Bool(_) => Type::BOOL,
        }
    }
}

impl ToSql for Bound<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Text(text) => text.to_sql(ty, out),
            Value::Long(number) => number.to_sql(ty, out),
            Value::Bool(truth) => truth.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// The values of `names`, in their order. As the Data API has it, every name has a value and every value a name.
pub(crate) fn bind<'a>(
    names: &[String],
    parameters: &'a [(&'static str, Value)],
) -> Result<Vec<Bound<'a>>, Failure> {
    let refused = |detail: String| {
        Failure::new(Execution::DidNotRun, ErrorClass::Defect).with_code("Parameters").with_detail(detail)
    };
    if let Some((unused, _)) = parameters.iter().find(|(name, _)| !names.iter().any(|wanted| wanted == name))
    {
        return Err(refused(format!("parameter {unused} is not used in the statement")));
    }
    names
        .iter()
        .map(|wanted| {
            let mut given = parameters.iter().filter(|(name, _)| name == wanted);
            match (given.next(), given.next()) {
                (Some((_, value)), None) => Ok(Bound(value)),
                (Some(_), Some(_)) => Err(refused(format!("parameter {wanted} is given twice"))),
                (None, _) => Err(refused(format!("parameter {wanted} is missing"))),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use shared::endpoint::{ErrorClass, Execution, Value};
    use tokio_postgres::types::Type;

    use super::bind;

    #[test]
    fn binds_values_in_order_and_typed_as_the_data_api_does() {
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let given = [("d", Value::Null), ("c", true.into()), ("b", 7_i64.into()), ("a", "text".into())];
        let types: Vec<Type> = bind(&names, &given).unwrap().iter().map(super::Bound::ty).collect();
        assert_eq!(types, [Type::TEXT, Type::INT8, Type::BOOL, Type::UNKNOWN]);
    }

    #[test]
    fn sends_nothing_when_names_and_values_do_not_match() {
        let names = ["a".to_owned()];
        let one = || ("a", Value::Null);
        for given in [vec![], vec![one(), ("b", Value::Null)], vec![one(), one()]] {
            let failure = bind(&names, &given).unwrap_err();
            assert_eq!((failure.outcome, failure.class), (Execution::DidNotRun, ErrorClass::Defect));
        }
    }
}
