"""What SQLAlchemy's test suite may expect of a store: what SQLite can do, said one by one.

The suite sees the replicated database as the main schema and a plain file as `test_schema`. What is
not named here keeps the suite's own default.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements


def _open() -> Any:
    return property(lambda self: exclusions.open())  # type: ignore[no-untyped-call]


def _closed(why: str) -> Any:
    return property(
        lambda self: exclusions.closed(),  # type: ignore[no-untyped-call]
        doc=why,
    )


class Requirements(SuiteRequirements):
    """Capabilities of a store. Each that is closed says why."""

    # ---- queries

    aggregate_order_by = _open()
    boolean_col_expressions = _open()
    ctes = _open()
    ctes_with_update_delete = _open()
    ctes_with_values = _open()
    except_ = _open()
    expression_server_defaults = _open()
    intersect = _open()
    mod_operator_as_percent_sign = _open()
    nullsordering = _open()
    order_by_collation = _open()
    order_by_label_with_expression = _open()
    regexp_match = _open()
    server_defaults = _open()
    supports_bitwise_and = _open()
    supports_bitwise_not = _open()
    supports_bitwise_or = _open()
    supports_bitwise_shift = _open()
    tuple_in = _open()
    update_from = _open()
    window_functions = _open()
    window_range = _open()
    window_range_numeric = _open()

    delete_from = _closed("SQLite has no DELETE over several tables")
    parens_in_union_contained_select_w_limit_offset = _closed(
        "SQLite takes no parentheses around the parts of a UNION"
    )
    parens_in_union_contained_select_wo_limit_offset = _closed(
        "SQLite takes no parentheses around the parts of a UNION"
    )
    table_value_constructor = _closed("SQLite cannot name the columns of VALUES")
    window_range_non_numeric = _closed("SQLite's RANGE frames take numbers only")

    # ---- tables, views, constraints

    computed_columns = _open()
    computed_columns_reflect_persisted = _open()
    computed_columns_stored = _open()
    computed_columns_virtual = _open()
    create_table_as = _open()
    create_temp_table_as = _open()
    has_temp_table = _open()
    index_ddl_if_exists = _open()
    indexes_check_column_order = _open()
    indexes_with_expressions = _open()
    percent_schema_names = _open()
    schemas = _open()
    table_ddl_if_exists = _open()
    unicode_ddl = _open()
    views = _open()

    cross_schema_fk_reflection = _closed("a foreign key of SQLite stays within its database file")
    implicitly_named_constraints = _closed("SQLite gives unnamed constraints no name")
    uuid_data_type = _closed("SQLite has no type of its own for UUIDs")

    # ---- reflection

    check_constraint_reflection = _open()
    fk_constraint_option_reflection_ondelete_noaction = _open()
    fk_constraint_option_reflection_ondelete_restrict = _open()
    fk_constraint_option_reflection_onupdate_restrict = _open()
    foreign_key_constraint_name_reflection = _open()
    foreign_key_constraint_option_reflection_ondelete = _open()
    foreign_key_constraint_option_reflection_onupdate = _open()
    implicit_default_schema = _open()
    inline_check_constraint_reflection = _open()
    reflect_table_options = _open()
    reflects_pk_names = _open()

    column_collation_reflection = _closed("SQLAlchemy does not read SQLite's column collations")
    reflect_indexes_with_expressions = _closed(
        "SQLAlchemy leaves SQLite's indexes on expressions out, with a warning"
    )
    temp_table_reflection = _closed(
        "a temporary table belongs to one connection, and the suite looks for it from another one "
        "of the pool"
    )
    temp_table_names = _closed("as temp_table_reflection")
    temporary_views = _closed("as temp_table_reflection")

    # ---- types

    date_historic = _open()
    datetime_historic = _open()
    datetime_literals = _open()
    float_or_double_precision_behaves_generically = _open()
    infinity_floats = _open()
    json_type = _open()
    legacy_unconditional_json_extract = _open()
    nvarchar_types = _open()
    precision_numerics_enotation_small = _open()
    timestamp_microseconds = _open()

    cast_precision_numerics_many_significant_digits = _closed("as the next one")
    precision_numerics_many_significant_digits = _closed(
        "SQLite stores numbers as 64-bit floats: about 15 digits"
    )

    # ---- transactions and connections

    autocommit = _open()
    isolation_level = _open()
    savepoints = _open()
    skip_autocommit_rollback = _open()

    independent_connections = _closed(
        "the suite then opens engines of its own, to which it does not attach test_schema; and two "
        "of them cannot hold a write transaction at the same time"
    )

    def get_order_by_collation(self, config: Any) -> str:
        """A collation every SQLite has."""
        return "BINARY"

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """All there are."""
        return {"default": "SERIALIZABLE", "supported": ["SERIALIZABLE", "AUTOCOMMIT"]}
