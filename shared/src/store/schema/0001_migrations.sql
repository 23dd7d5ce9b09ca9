-- The driver's tables. What must always be true of a row is held here by CHECKs and unique indexes, so that
-- no statement, of whatever version of the driver, can store anything else.

CREATE TABLE container_repositories (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    path text NOT NULL UNIQUE,
    -- What the settings may deny.
    root_namespace text NOT NULL GENERATED ALWAYS AS (split_part(path, '/', 1)) STORED,
    migration_state text NOT NULL DEFAULT 'default',
    -- +1 at every change of the row: the portable "position" of what a caller has seen.
    version bigint NOT NULL DEFAULT 1,
    -- The request to the registry whose notification is awaited, or the last one.
    attempt uuid,
    -- The statement that made the last change. Unique: a statement that is sent again while its first sending
    -- is still under way cannot change a second row.
    change uuid UNIQUE,
    slot integer UNIQUE,
    retries_count integer NOT NULL DEFAULT 0,
    skipped_reason smallint,
    aborted_in_state text,
    -- Where the last claim came from: where a start that the registry surely refused goes back to.
    resume_state text,
    pre_import_started_at timestamptz,
    pre_import_done_at timestamptz,
    import_started_at timestamptz,
    import_done_at timestamptz,
    aborted_at timestamptz,
    skipped_at timestamptz,
    not_before timestamptz,
    -- When the guard looks at the row next; not a change, so outside the version.
    next_check_at timestamptz,
    detail text,
    tags_count integer,
    plan text,
    priority integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT path_is_lower_case CHECK (path = lower(path) AND length(path) BETWEEN 1 AND 255),
    CONSTRAINT migration_state_is_known CHECK (migration_state IN (
        'default', 'pre_importing', 'pre_import_done', 'importing', 'import_done', 'import_aborted', 'import_skipped'
    )),
    CONSTRAINT version_counts_up CHECK (version >= 1),
    CONSTRAINT retries_count_is_not_negative CHECK (retries_count >= 0),
    CONSTRAINT tags_count_is_not_negative CHECK (tags_count >= 0),
    CONSTRAINT detail_is_short CHECK (length(detail) <= 255),
    CONSTRAINT state_has_its_timestamp CHECK (CASE migration_state
        WHEN 'pre_importing' THEN pre_import_started_at IS NOT NULL
        WHEN 'pre_import_done' THEN pre_import_done_at IS NOT NULL
        WHEN 'importing' THEN import_started_at IS NOT NULL
        WHEN 'import_done' THEN import_done_at IS NOT NULL
        WHEN 'import_skipped' THEN skipped_at IS NOT NULL
        ELSE true
    END),
    CONSTRAINT aborted_exactly_while_aborted CHECK (
        (aborted_at IS NOT NULL) = (migration_state = 'import_aborted')
        AND (aborted_in_state IS NOT NULL) = (migration_state = 'import_aborted')
    ),
    CONSTRAINT aborted_in_state_is_known CHECK (aborted_in_state IN (
        'default', 'pre_importing', 'pre_import_done', 'importing'
    )),
    CONSTRAINT resume_state_is_known CHECK (resume_state IN ('default', 'import_aborted', 'pre_import_done')),
    CONSTRAINT resume_state_only_while_active CHECK (
        resume_state IS NULL OR migration_state IN ('pre_importing', 'importing')
    ),
    CONSTRAINT slot_exactly_while_in_progress CHECK (
        (slot IS NOT NULL) = (migration_state IN ('pre_importing', 'pre_import_done', 'importing'))
    ),
    -- 5 not_found and 6 native_import may also stand on a row that is done.
    CONSTRAINT reason_exactly_where_one_belongs CHECK (CASE migration_state
        WHEN 'import_skipped' THEN skipped_reason IS NOT NULL AND skipped_reason BETWEEN 0 AND 8
        WHEN 'import_done' THEN skipped_reason IS NULL OR skipped_reason IN (5, 6)
        ELSE skipped_reason IS NULL
    END)
);

-- What is started next: due retries first, then priority, then age. The columns that the settings are compared
-- with are included, so that rows that are not eligible are passed over without being fetched.
CREATE INDEX container_repositories_due ON container_repositories (
    (migration_state = 'import_aborted') DESC, priority DESC, created_at, id
) INCLUDE (migration_state, root_namespace, tags_count)
WHERE migration_state IN ('default', 'import_aborted') AND not_before IS NULL;

-- The same for the plans that the settings choose.
CREATE INDEX container_repositories_due_by_plan ON container_repositories (
    plan, (migration_state = 'import_aborted') DESC, priority DESC, created_at, id
) INCLUDE (migration_state, root_namespace, tags_count)
WHERE migration_state IN ('default', 'import_aborted') AND not_before IS NULL;

-- What had to wait, by the end of its wait: what still waits is not passed over row by row.
CREATE INDEX container_repositories_postponed ON container_repositories (not_before)
WHERE migration_state IN ('default', 'import_aborted') AND not_before IS NOT NULL;

-- What may have more tags than the settings allow.
CREATE INDEX container_repositories_many_tags ON container_repositories (tags_count)
WHERE migration_state = 'default' AND tags_count IS NOT NULL;

CREATE INDEX container_repositories_in_progress ON container_repositories (migration_state, id)
WHERE migration_state IN ('pre_importing', 'pre_import_done', 'importing');

CREATE INDEX container_repositories_by_state ON container_repositories (migration_state, path);

-- One row per slot, with its occupant: capacity cannot be exceeded because there is no further row to take.
CREATE TABLE migration_slots (
    slot integer PRIMARY KEY,
    repository_id bigint UNIQUE REFERENCES container_repositories ON DELETE SET NULL,
    freed_at timestamptz,

    CONSTRAINT slot_is_positive CHECK (slot >= 1)
);

INSERT INTO migration_slots (slot) SELECT generate_series(1, 1000);

CREATE INDEX migration_slots_free ON migration_slots (slot) WHERE repository_id IS NULL;

-- Append-only. A line per transition, and one for each notification that was received and ignored
-- (applied = false, the version unchanged).
CREATE TABLE migration_transitions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    repository_id bigint NOT NULL REFERENCES container_repositories ON DELETE CASCADE,
    version bigint NOT NULL,
    event text NOT NULL,
    from_state text NOT NULL,
    to_state text NOT NULL,
    cause text NOT NULL,
    applied boolean NOT NULL DEFAULT true,
    -- Why it was ignored.
    verdict text,
    -- The row's attempt after the transition.
    attempt uuid,
    -- The attempt that a notification named.
    reported_attempt uuid,
    -- The slot held before or after it. Starts and ends alternate per slot in the order of the id.
    slot integer,
    detail text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX migration_transitions_once_per_version ON migration_transitions (repository_id, version)
WHERE applied;

CREATE INDEX migration_transitions_by_repository ON migration_transitions (repository_id, id);

CREATE INDEX migration_transitions_by_attempt ON migration_transitions (repository_id, attempt);

CREATE TABLE migration_settings (
    id boolean PRIMARY KEY DEFAULT true,
    version bigint NOT NULL DEFAULT 1,
    -- The kill switch: off means no starts and no promotion from pre to final.
    enabled boolean NOT NULL DEFAULT false,
    capacity integer NOT NULL DEFAULT 1,
    waiting_time_seconds integer NOT NULL DEFAULT 0,
    -- 0: no limit.
    max_tags_count integer NOT NULL DEFAULT 0,
    max_retries integer NOT NULL DEFAULT 3,
    max_step_duration_seconds integer NOT NULL DEFAULT 300,
    pre_import_timeout_seconds integer NOT NULL DEFAULT 1800,
    import_timeout_seconds integer NOT NULL DEFAULT 600,
    pre_import_seconds_per_tag double precision NOT NULL DEFAULT 0.5,
    created_before timestamptz,
    -- Empty: every plan.
    target_plans text[] NOT NULL DEFAULT '{}',
    denied_root_namespaces text[] NOT NULL DEFAULT '{}',

    CONSTRAINT there_is_one_row CHECK (id),
    CONSTRAINT capacity_has_its_slots CHECK (capacity BETWEEN 0 AND 1000),
    CONSTRAINT durations_are_not_negative CHECK (
        waiting_time_seconds >= 0
        AND max_step_duration_seconds > 0
        AND pre_import_timeout_seconds > 0
        AND import_timeout_seconds > 0
        AND pre_import_seconds_per_tag >= 0
    ),
    CONSTRAINT limits_are_not_negative CHECK (max_tags_count >= 0 AND max_retries >= 1)
);

INSERT INTO migration_settings DEFAULT VALUES;

-- Every change of the settings, as it was asked for.
CREATE TABLE migration_settings_changes (
    version bigint PRIMARY KEY,
    changes jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Written on the writer and looked for on the reader: the replica's lag, measured.
CREATE TABLE replica_mark (
    id boolean PRIMARY KEY DEFAULT true,
    mark bigint NOT NULL DEFAULT 0,
    marked_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT there_is_one_mark CHECK (id)
);

INSERT INTO replica_mark DEFAULT VALUES;

GRANT SELECT, INSERT, UPDATE, DELETE ON
    container_repositories, migration_slots, migration_transitions, migration_settings, migration_settings_changes,
    replica_mark
TO migration_driver;

GRANT SELECT ON
    container_repositories, migration_slots, migration_transitions, migration_settings, migration_settings_changes,
    replica_mark
TO migration_reader;
