-- The importer's tables: what it copies, how far it has come, and what it has proven. Only its own role changes them, and
-- the driver's does not see them. No reader's cluster copies them.

-- One row, once somebody has set something.
CREATE TABLE importer_settings (
    id boolean PRIMARY KEY DEFAULT true,
    -- How many repositories are copied at once.
    capacity integer NOT NULL DEFAULT 10,
    lease_seconds integer NOT NULL DEFAULT 30,

    CONSTRAINT there_is_one_row_of_settings CHECK (id),
    CONSTRAINT importer_capacity_has_its_slots CHECK (capacity BETWEEN 0 AND 1000),
    CONSTRAINT lease_is_of_use CHECK (lease_seconds BETWEEN 1 AND 3600)
);

-- One per repository of the source that was ever asked for.
CREATE TABLE imports (
    source text COLLATE "C" PRIMARY KEY,
    target text NOT NULL,
    -- As the import protocol names it.
    status text NOT NULL,
    attempt uuid NOT NULL,
    -- The statement that started the attempt.
    change uuid NOT NULL,
    -- +1 at every start, cancelation and end.
    version bigint NOT NULL DEFAULT 1,
    slot integer UNIQUE,
    -- Who works on it, and until when nobody else may. A worker that ends in order gives both back.
    worker uuid,
    lease_until timestamptz,
    heartbeat_at timestamptz,
    -- A lease of this attempt ran out before it was given back: its holder may still have a request under way.
    lease_lost boolean NOT NULL DEFAULT false,
    -- Something may have been written to the target: what is there is not known any more to be nothing.
    wrote boolean NOT NULL DEFAULT false,
    started_at timestamptz NOT NULL DEFAULT now(),
    -- When a part, a blob, a manifest or a tag was last finished.
    moved_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    tags_known bigint NOT NULL DEFAULT 0,
    tags_done bigint NOT NULL DEFAULT 0,
    manifests_known bigint NOT NULL DEFAULT 0,
    manifests_done bigint NOT NULL DEFAULT 0,
    blobs_known bigint NOT NULL DEFAULT 0,
    blobs_done bigint NOT NULL DEFAULT 0,
    bytes_known bigint NOT NULL DEFAULT 0,
    bytes_done bigint NOT NULL DEFAULT 0,
    cause text,
    error text,

    CONSTRAINT import_status_is_known CHECK (status IN (
        'pre_import_in_progress', 'pre_import_complete', 'pre_import_failed', 'pre_import_canceled',
        'import_in_progress', 'import_complete', 'import_failed', 'import_canceled'
    )),
    -- One that was canceled keeps its slot until its worker has noticed.
    CONSTRAINT import_in_progress_has_a_slot CHECK (
        slot IS NOT NULL OR status NOT IN ('pre_import_in_progress', 'import_in_progress')
    ),
    CONSTRAINT import_has_an_end_unless_in_progress CHECK (
        (ended_at IS NULL) = (status IN ('pre_import_in_progress', 'import_in_progress'))
    ),
    CONSTRAINT lease_has_its_worker CHECK ((lease_until IS NULL) = (worker IS NULL)),
    CONSTRAINT import_error_is_short CHECK (length(error) <= 255 AND length(cause) <= 40)
);

CREATE INDEX imports_with_a_slot ON imports (lease_until) WHERE slot IS NOT NULL;

-- One row per slot, with its occupant.
CREATE TABLE import_slots (
    slot integer PRIMARY KEY,
    source text COLLATE "C" UNIQUE REFERENCES imports ON DELETE SET NULL,

    CONSTRAINT import_slot_is_positive CHECK (slot BETWEEN 1 AND 1000)
);

CREATE INDEX import_slots_free ON import_slots (slot) WHERE source IS NULL;

-- Blobs that need more than one part. What stands here is durable before the next part is sent.
CREATE TABLE import_uploads (
    target text NOT NULL,
    digest text NOT NULL,
    location text NOT NULL,
    sent bigint NOT NULL,
    -- The digest's middle state after what was sent, with the version of what wrote it.
    hash text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT import_uploads_key PRIMARY KEY (target, digest),
    CONSTRAINT sent_is_not_negative CHECK (sent >= 0)
);

-- Which repository of the target has which blob, and who is just copying one. It saves work and proves nothing: what is
-- missing here is asked for at the target.
CREATE TABLE import_blobs (
    digest text NOT NULL,
    target text NOT NULL,
    there boolean NOT NULL,
    -- The import that copies it. It does so while its lease lives.
    source text NOT NULL,

    CONSTRAINT import_blobs_key PRIMARY KEY (digest, target)
);

-- One copies a blob, whoever else needs it.
CREATE UNIQUE INDEX import_blobs_copied_once ON import_blobs (digest) WHERE NOT there;

-- One per tag: what the source has, what the target was read to have, and when. The proof.
CREATE TABLE import_tags (
    source text COLLATE "C" NOT NULL,
    tag text COLLATE "C" NOT NULL,
    source_digest text,
    target_digest text,
    state text NOT NULL,
    -- Whether the importer wrote it.
    wrote boolean NOT NULL DEFAULT false,
    checked_at timestamptz NOT NULL DEFAULT now(),
    attempt uuid NOT NULL,
    cause text,
    error text,

    CONSTRAINT import_tags_key PRIMARY KEY (source, tag),
    CONSTRAINT import_tag_state_is_known CHECK (state IN ('equal', 'merged', 'failed', 'deleted')),
    CONSTRAINT equal_tags_are_equal CHECK (
        state <> 'equal' OR (source_digest IS NOT NULL AND target_digest IS NOT NULL AND source_digest = target_digest)
    ),
    CONSTRAINT failed_tags_have_a_cause CHECK ((state = 'failed') = (cause IS NOT NULL))
);

-- How much each registry is asked for at most, by all workers together.
CREATE TABLE import_limits (
    side text NOT NULL,
    -- `requests`, `bytes`, or one of the client's actions.
    action text NOT NULL,
    per_second double precision NOT NULL,

    CONSTRAINT import_limits_key PRIMARY KEY (side, action),
    CONSTRAINT import_limit_side_is_known CHECK (side IN ('source', 'target')),
    CONSTRAINT import_limit_is_positive CHECK (per_second > 0)
);

GRANT SELECT, INSERT, UPDATE, DELETE ON
    importer_settings, imports, import_slots, import_uploads, import_blobs, import_tags, import_limits
TO migration_importer;

GRANT SELECT ON
    importer_settings, imports, import_slots, import_uploads, import_blobs, import_tags, import_limits
TO migration_reader;
