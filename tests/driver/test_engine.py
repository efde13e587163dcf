"""What SQLAlchemy and Alembic make of a store: everything that works on SQLite works here."""

from __future__ import annotations

import threading
from pathlib import Path

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from memory_store import LIMIT_S, MemoryStore
from sqlalchemy import orm
from sqlalchemy.dialects.sqlite import insert

from aurora_store import driver, errors
from aurora_store.dialect import create_engine


class Base(orm.DeclarativeBase):
    """Tables of these tests."""


class Job(Base):
    """A job with tasks."""

    __tablename__ = "job"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(unique=True)
    tasks: orm.Mapped[list[Task]] = orm.relationship(
        back_populates="job", cascade="all, delete-orphan"
    )


class Task(Base):
    """A task of a job."""

    __tablename__ = "task"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    job_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("job.id"))
    state: orm.Mapped[str]
    job: orm.Mapped[Job] = orm.relationship(back_populates="tasks")


@pytest.fixture
def tables(engine: sa.Engine) -> None:
    """Creates the tables."""
    Base.metadata.create_all(engine)


def _number(engine: sa.Engine, query: str) -> int:
    with engine.connect() as connection:
        number: int = connection.execute(sa.text(query)).scalar_one()
        return number


# ---- the ORM, Core, Alembic --------------------------------------------------------------------


@pytest.mark.usefixtures("tables")
def test_the_orm_writes_on_one_engine_and_reads_on_the_other(
    engine: sa.Engine, reader: sa.Engine
) -> None:
    with orm.Session(engine) as session, session.begin():
        session.add(Job(name="web", tasks=[Task(state="RUNNING"), Task(state="PENDING")]))
    with orm.Session(reader) as session:
        job = session.scalars(sa.select(Job)).one()
        assert sorted(task.state for task in job.tasks) == ["PENDING", "RUNNING"]
    with orm.Session(engine) as session, session.begin():
        session.delete(session.scalars(sa.select(Job)).one())
    assert _number(reader, "SELECT count(*) FROM task") == 0


@pytest.mark.usefixtures("tables")
def test_nested_savepoints_roll_back_what_is_theirs(engine: sa.Engine, reader: sa.Engine) -> None:
    with orm.Session(engine) as session, session.begin():
        session.add(Job(name="outer"))
        with session.begin_nested():
            session.add(Job(name="inner"))
            refused = session.begin_nested()
            session.add(Job(name="outer"))
            with pytest.raises(sa.exc.IntegrityError):
                session.flush()
            refused.rollback()
        undone = session.begin_nested()
        session.add(Job(name="undone"))
        session.flush()
        undone.rollback()
    with orm.Session(reader) as session:
        assert sorted(session.scalars(sa.select(Job.name))) == ["inner", "outer"]


@pytest.mark.usefixtures("tables")
def test_upsert_of_the_sqlite_dialect_works(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for state in ("PENDING", "RUNNING"):
            statement = insert(Task).values(id=1, job_id=1, state=state)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=["id"], set_={"state": statement.excluded.state}
                )
            )
        assert connection.scalar(sa.select(Task.state)) == "RUNNING"


def test_autocommit_statements_of_an_engine_are_durable_one_by_one(
    engine: sa.Engine, reader: sa.Engine
) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CREATE TABLE t(a)"))
        connection.execute(sa.text("INSERT INTO t VALUES(1)"))
        assert _number(reader, "SELECT count(*) FROM t") == 1
        connection.execute(sa.text("VACUUM"))


def test_a_well_known_recipe_that_begins_by_an_event_still_works(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN")

    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t(a)"))
    assert _number(engine, "SELECT count(*) FROM t") == 0


_ENV = """
from alembic import context
connection = context.config.attributes["connection"]
context.configure(connection=connection, transaction_per_migration=True, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
"""

_FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "1", None
def upgrade():
    columns = sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text)
    op.create_table("host", *columns)
    op.execute("INSERT INTO host(name) VALUES ('one')")
def downgrade():
    op.drop_table("host")
"""

_SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "2", "1"
def upgrade():
    with op.batch_alter_table("host") as batch:
        batch.alter_column("name", new_column_name="address", nullable=False)
        batch.add_column(sa.Column("port", sa.Integer, server_default="80"))
def downgrade():
    with op.batch_alter_table("host") as batch:
        batch.drop_column("port")
        batch.alter_column("address", new_column_name="name", nullable=True)
"""


def test_alembic_migrates_up_and_down(engine: sa.Engine, reader: sa.Engine, tmp_path: Path) -> None:
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").write_text(_ENV)
    (tmp_path / "versions" / "first.py").write_text(_FIRST)
    (tmp_path / "versions" / "second.py").write_text(_SECOND)
    config = alembic.config.Config()
    config.set_main_option("script_location", str(tmp_path))
    config.set_main_option("path_separator", "os")

    def migrate(command: str, revision: str) -> None:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            getattr(alembic.command, command)(config, revision)

    migrate("upgrade", "head")
    with reader.connect() as connection:
        assert connection.execute(sa.text("SELECT address, port FROM host")).one() == ("one", 80)
    migrate("downgrade", "1")
    with reader.connect() as connection:
        assert connection.execute(sa.text("SELECT name FROM host")).one() == ("one",)
    migrate("downgrade", "base")
    assert "host" not in sa.inspect(reader).get_table_names()


# ---- features of SQLite ------------------------------------------------------------------------


def test_full_text_search_triggers_tables_without_rowid_and_vacuum_replicate(
    engine: sa.Engine, reader: sa.Engine
) -> None:
    with engine.begin() as connection:
        for statement in (
            "CREATE VIRTUAL TABLE words USING fts5(body)",
            "CREATE TABLE k(name TEXT PRIMARY KEY) WITHOUT ROWID",
            "CREATE TABLE l(id INTEGER PRIMARY KEY AUTOINCREMENT, name)",
            "CREATE TRIGGER tr AFTER INSERT ON k BEGIN INSERT INTO l(name) VALUES(new.name); "
            "INSERT INTO words VALUES(new.name); END",
            "INSERT INTO k VALUES('quick fox'), ('lazy dog')",
        ):
            connection.execute(sa.text(statement))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM"))
    assert _number(reader, "SELECT count(*) FROM words WHERE words MATCH 'fox'") == 1
    assert _number(reader, "SELECT seq FROM sqlite_sequence WHERE name = 'l'") == 2
    with reader.connect() as connection:
        assert connection.execute(sa.text("PRAGMA integrity_check")).scalar() == "ok"


def test_a_blob_of_100_mb_is_one_transaction(engine: sa.Engine, reader: sa.Engine) -> None:
    blob = bytes(range(256)) * (100_000_000 // 256)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE b(v BLOB)"))
        connection.execute(sa.text("INSERT INTO b VALUES(:v)"), {"v": blob})
    with reader.connect() as connection:
        assert connection.execute(sa.text("SELECT v FROM b")).scalar_one() == blob


# ---- several at once ---------------------------------------------------------------------------


def test_two_threads_write_and_nothing_is_lost(engine: sa.Engine, reader: sa.Engine) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE counter(n INT)"))
        connection.execute(sa.text("INSERT INTO counter VALUES(0)"))
    failures: list[BaseException] = []

    def count() -> None:
        try:
            for _ in range(100):
                with engine.begin() as connection:
                    n = connection.scalar(sa.text("SELECT n FROM counter"))
                    connection.execute(sa.text("UPDATE counter SET n = :n"), {"n": n + 1})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert not failures
    assert _number(reader, "SELECT n FROM counter") == 200


def test_a_reader_keeps_its_snapshot_while_a_writer_commits(
    engine: sa.Engine, reader: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t(a)"))
    with reader.connect() as snapshot:
        assert snapshot.scalar(sa.text("SELECT count(*) FROM t")) == 0
        with engine.begin() as connection:
            connection.execute(sa.text("INSERT INTO t VALUES(1)"))
        assert snapshot.scalar(sa.text("SELECT count(*) FROM t")) == 0
    assert _number(reader, "SELECT count(*) FROM t") == 1


# ---- loss of leadership ------------------------------------------------------------------------


@pytest.mark.usefixtures("tables")
def test_the_pool_replaces_connections_that_saw_what_was_taken_back(
    store: MemoryStore, engine: sa.Engine, reader: sa.Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO job(name) VALUES('kept')"))
    store.arm("lost-promise")
    with (
        pytest.raises((errors.LeadershipLost, errors.CommitOutcomeUnknown)),
        orm.Session(engine) as session,
        session.begin(),
    ):
        session.add(Job(name="lost"))
    store.wait_until_not_leading()
    with pytest.raises(errors.NotLeader), engine.begin():
        pass
    assert _number(reader, "SELECT count(*) FROM job") == 1
    store.disarm()
    store.lead()
    with orm.Session(engine) as session, session.begin():
        assert session.scalars(sa.select(Job.name)).all() == ["kept"]
        session.add(Job(name="later"))
    assert _number(reader, "SELECT count(*) FROM job") == 2


@pytest.mark.usefixtures("tables")
def test_a_reading_engine_refuses_writes_with_not_leader(reader: sa.Engine) -> None:
    with pytest.raises(errors.NotLeader, match="reads only"), reader.begin() as connection:
        connection.execute(sa.text("INSERT INTO job(name) VALUES('x')"))
    assert _number(reader, "SELECT count(*) FROM job") == 0


def test_an_engine_on_a_standby_connects_and_refuses_to_begin() -> None:
    standby = MemoryStore()
    engine = create_engine(standby.handle)
    reader = create_engine(standby.handle, read_only=True)
    with pytest.raises(errors.NotLeader), engine.begin():
        pass
    assert sa.inspect(reader).get_table_names() == []
    engine.dispose()
    reader.dispose()
    standby.close()


# ---- URLs --------------------------------------------------------------------------------------


def test_a_url_names_a_store_of_this_process(store: MemoryStore, engine: sa.Engine) -> None:
    driver.register("by-url", store.handle)
    try:
        writing = sa.create_engine("sqlite+aurora:///by-url")
        reading = sa.create_engine("sqlite+aurora:///by-url?mode=ro")
        with writing.begin() as connection:
            connection.execute(sa.text("CREATE TABLE t(a)"))
        assert _number(reading, "SELECT count(*) FROM t") == 0
        with pytest.raises(errors.NotLeader), reading.begin() as connection:
            connection.execute(sa.text("DROP TABLE t"))
        writing.dispose()
        reading.dispose()
    finally:
        driver.unregister("by-url")


@pytest.mark.parametrize(
    "url",
    ["sqlite+aurora://host/name", "sqlite+aurora:///name?mode=no", "sqlite+aurora:///name?x=1"],
)
def test_a_malformed_url_is_refused_with_the_valid_forms(engine: sa.Engine, url: str) -> None:
    with pytest.raises(sa.exc.ArgumentError, match="mode"):
        sa.create_engine(url).connect()
