"""The tables of profiles, metrics and events, and of templates. A migration goes with every edit here; a test compares the two.

What is written all the time is laid out so that little is: an event is appended, and entered in three indexes; nothing of its
profile is touched unless the profile changes. `docs/design.md` says what was measured.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from feedd.store.tables import BigId, Utc, people_metadata, required

# a person; `properties` is canonical JSON, `uid` a ULID. The identifiers stand here to be read, and in `identifiers` to be found by
PROFILES = Table(
    "profiles",
    people_metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    required("uid", Text),
    Column("email", Text),
    Column("phone_number", Text),
    Column("external_id", Text),
    required("properties", Text),
    required("created_at", Utc),
    required("updated_at", Utc),
    # when a person had themselves deleted; what is left of them are events that name nobody
    Column("redacted_at", Utc),
    Index("ix_profiles_created", "created_at", "id"),
    Index("ix_profiles_updated", "updated_at", "id"),
    # those that a list in the order of addresses has at its end, and does not read from `identifiers`; on PostgreSQL too, as its
    # migration says: to say so here would have every command import that dialect
    Index("ix_profiles_no_email", "id", sqlite_where=text("email IS NULL")),
)

# whose an identifier is; `kind` is `people.values.Kind`. On SQLite without a row id, as its migration says
IDENTIFIERS = Table(
    "identifiers",
    people_metadata,
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("value", Text, primary_key=True),
    required("profile_id", BigInteger),
    Index("ix_identifiers_profile", "profile_id"),
)

# a profile that is another one by now: events in packed columns may still name it. `id` is the order of merging, so that who
# knows the earlier ones reads the later ones alone
MERGES = Table(
    "merges",
    people_metadata,
    Column("id", BigId, primary_key=True),
    required("from_id", BigInteger),
    required("into_id", BigInteger),
    required("merged_at", Utc),
    Index("ux_merges_from", "from_id", unique=True),
)

METRICS = Table(
    "metrics",
    people_metadata,
    Column("id", Integer, primary_key=True),
    required("uid", Text),
    required("name", Text),
    required("integration", Text),
    required("created_at", Utc),
    Index("ux_metrics_name", "name", unique=True),
    Index("ux_metrics_uid", "uid", unique=True),
)

# one event; `id` is the order of recording, `at` and `received_at` are Unix seconds. `keyed`: it has a row in `event_keys`
EVENTS = Table(
    "events",
    people_metadata,
    Column("id", BigId, primary_key=True, autoincrement=False),
    required("profile_id", BigInteger),
    required("metric_id", Integer),
    required("at", BigInteger),
    Column("value", Float),
    required("properties", Text),
    required("received_at", BigInteger),
    required("source", SmallInteger),
    required("keyed", Boolean),
    Index("ix_events_profile", "profile_id", "at", "metric_id", "keyed"),
    # with the id, so that PostgreSQL finds a page among millions of the same second
    Index("ix_events_metric", "metric_id", "at", "id"),
)

# the unique id of an event that was given one, as 64 bits of its digest; on SQLite without a row id
EVENT_KEYS = Table(
    "event_keys",
    people_metadata,
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    Column("metric_id", Integer, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    required("event_id", BigInteger),
)

# a stretch of events whose columns are packed; any may be missing, its events are read one by one then. One that is being
# packed has a negative `last_id` that its packer knows it by
EVENT_CHUNKS = Table(
    "event_chunks",
    people_metadata,
    Column("first_id", BigId, primary_key=True, autoincrement=False),
    required("last_id", BigInteger),
)

# one column of the events of one metric in a chunk (`store.columns`)
EVENT_COLUMNS = Table(
    "event_columns",
    people_metadata,
    Column("first_id", BigId, primary_key=True, autoincrement=False),
    Column("metric_id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, primary_key=True),
    required("packed", LargeBinary),
)

# who wants to know of an item, by which rule, since when (Unix seconds); on SQLite without a row id
INTERESTS = Table(
    "interests",
    people_metadata,
    Column("rule", Text, primary_key=True),
    Column("item_id", Text, primary_key=True),
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
    required("at", BigInteger),
    Index("ix_interests_profile", "profile_id"),
)

# how far somebody has read the change stream; `position` is where within a change. (And one that keeps a number: `store.chunks`)
CURSORS = Table(
    "cursors",
    people_metadata,
    Column("name", Text, primary_key=True),
    required("stream_id", Text),
    required("seq", BigInteger),
    required("position", BigInteger),
    required("moved_at", Utc),
)

# an import of a file of profiles or events: how many of its rows are taken in
IMPORTS = Table(
    "imports",
    people_metadata,
    Column("id", Text, primary_key=True),
    required("name", Text),
    required("rows", BigInteger),
    required("counts", Text),
    required("started_at", Utc),
    required("moved_at", Utc),
    Column("finished_at", Utc),
)

# what was sent in bulk. `id` is the order of arrival, `uid` a ULID; `size_bytes` is what of it still waits, `errors` how many rows there are
# in `job_errors`. Who has the lease does the next part
JOBS = Table(
    "jobs",
    people_metadata,
    Column("id", BigId, primary_key=True),
    required("uid", Text),
    required("kind", Text),
    required("status", Text),
    required("total", BigInteger),
    required("completed", BigInteger),
    required("failed", BigInteger),
    required("errors", BigInteger),
    required("size_bytes", BigInteger),
    required("created_at", Utc),
    Column("started_at", Utc),
    Column("completed_at", Utc),
    required("expires_at", Utc),
    Column("lease_holder", Text),
    Column("lease_until", Utc),
    Index("ux_jobs_uid", "uid", unique=True),
    Index("ix_jobs_status", "status", "id"),
    Index("ix_jobs_kind", "kind", "id"),
    Index("ix_jobs_expires", "expires_at"),
)

# what of a job is still to be done: some of its entries as they were sent. A part goes in the transaction that does it
JOB_PARTS = Table(
    "job_parts",
    people_metadata,
    Column("job_id", BigId, primary_key=True, autoincrement=False),
    Column("first", BigInteger, primary_key=True, autoincrement=False),
    required("rows", BigInteger),
    required("payload", LargeBinary),
)

# why rows of a job were not done; `payload` is the row as it was sent
JOB_ERRORS = Table(
    "job_errors",
    people_metadata,
    Column("job_id", BigId, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    required("code", Text),
    required("title", Text),
    required("detail", Text),
    required("pointer", Text),
    Column("payload", Text),
)

# whom an import has touched; on SQLite without a row id
JOB_PROFILES = Table(
    "job_profiles",
    people_metadata,
    Column("job_id", BigId, primary_key=True, autoincrement=False),
    Column("profile_id", BigInteger, primary_key=True, autoincrement=False),
)

# a template of messages; `id` is the order in which they were made, `uid` what it is known by. `file` is its path below the directory of
# templates where it comes from there, without what stands behind the last point; `digest` is that of its sources
TEMPLATES = Table(
    "templates",
    people_metadata,
    Column("id", BigId, primary_key=True),
    required("uid", Text),
    required("name", Text),
    required("editor_type", Text),
    required("html", Text),
    Column("text", Text),
    Column("amp", Text),
    required("created_at", Utc),
    required("updated_at", Utc),
    Column("file", Text),
    required("digest", Text),
    # what is wrong with it, as a JSON object of `by` (which check has found it) and `problems`; null where nobody has looked
    Column("verdict", Text),
    Index("ux_templates_uid", "uid", unique=True),
    Index("ux_templates_file", "file", unique=True),
)

# a daemon's directory of templates: `files` is a JSON list of those that it has
TEMPLATE_DIRECTORIES = Table(
    "template_directories",
    people_metadata,
    Column("daemon", Text, primary_key=True),
    required("seen_at", Utc),
    required("files", Text),
)
