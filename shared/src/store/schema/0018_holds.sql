-- Holds: the final step of repositories by path waits for an operator or for a time of day. And who acted.

CREATE TABLE migration_holds (
    -- Whole components of a path, without a slash at the end; empty: every path.
    prefix text COLLATE "C" PRIMARY KEY,
    -- Held whatever the time is.
    is_until_released boolean NOT NULL DEFAULT false,
    -- Held but from the one time of day to the other, which may be on the next day, in this zone.
    opens time,
    closes time,
    zone text,
    -- The higher, the earlier: before what has a lower one, by itself or by its prefix.
    priority integer,
    reason text,
    operator text,
    changed_at timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT prefix_is_lower_case CHECK (
        prefix = lower(prefix) AND length(prefix) <= 255 AND prefix NOT LIKE '/%' AND prefix NOT LIKE '%/'
    ),
    CONSTRAINT window_is_whole CHECK (
        (opens IS NULL) = (closes IS NULL) AND (opens IS NULL) = (zone IS NULL) AND (opens IS NULL OR opens <> closes)
    ),
    CONSTRAINT hold_does_something CHECK (is_until_released OR opens IS NOT NULL OR priority IS NOT NULL),
    CONSTRAINT hold_priority_is_bounded CHECK (priority BETWEEN 1 AND 1000)
);

-- Append-only: every change of a hold. NULL: it was removed.
CREATE TABLE migration_hold_changes (
    change uuid PRIMARY KEY,
    prefix text NOT NULL,
    hold jsonb,
    operator text,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- A window at this moment: whether it is open, when it was closed last, and when it is closed or opened next.
CREATE FUNCTION migration_window(opens time, closes time, zone text)
RETURNS TABLE (is_open boolean, closed_at timestamptz, changes_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $window$
    SELECT
        here.is_open,
        (here.day + migration_window.closes - CASE WHEN here.now < migration_window.closes
            THEN interval '1 day' ELSE interval '0' END) AT TIME ZONE migration_window.zone,
        (here.day + here.next + CASE WHEN here.now < here.next
            THEN interval '0' ELSE interval '1 day' END) AT TIME ZONE migration_window.zone
    FROM (
        SELECT
            clock.day, clock.now, opened.is_open,
            CASE WHEN opened.is_open THEN migration_window.closes ELSE migration_window.opens END AS next
        FROM (
            SELECT
                CAST(now() AT TIME ZONE migration_window.zone AS date) AS day,
                CAST(now() AT TIME ZONE migration_window.zone AS time) AS now
        ) AS clock
        CROSS JOIN LATERAL (
            SELECT CASE WHEN migration_window.opens < migration_window.closes
                THEN clock.now >= migration_window.opens AND clock.now < migration_window.closes
                ELSE clock.now >= migration_window.opens OR clock.now < migration_window.closes
            END AS is_open
        ) AS opened
    ) AS here
$window$;

-- The rule: by which hold a path is held at this moment, the one of the shortest prefix; no row: by none. Whoever may start
-- a final step asks it. It looks up the path's own ancestors, so other holds cost nothing.
CREATE FUNCTION migration_held_by(path text) RETURNS SETOF text
LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $held$
    SELECT h.prefix
    FROM (
        SELECT '' AS prefix
        UNION ALL
        SELECT string_agg(component.name, '/') OVER (ORDER BY component.number)
        FROM unnest(string_to_array(migration_held_by.path, '/')) WITH ORDINALITY AS component (name, number)
    ) AS ancestor
    JOIN migration_holds AS h ON h.prefix = ancestor.prefix
    WHERE h.is_until_released OR (h.opens IS NOT NULL AND NOT (
        SELECT clock.is_open FROM migration_window(h.opens, h.closes, h.zone) AS clock
    ))
    ORDER BY length(h.prefix)
    LIMIT 1
$held$;

-- Since when the row waits for its final step without a slot. Only the claim that starts its next step ends that, or its
-- migration's end.
ALTER TABLE container_repositories ADD COLUMN held_since timestamptz;

ALTER TABLE container_repositories DROP CONSTRAINT slot_exactly_while_in_progress;

ALTER TABLE container_repositories ADD CONSTRAINT slot_exactly_while_in_progress_and_not_held CHECK (
    (slot IS NOT NULL) = (
        migration_state IN ('pre_importing', 'importing')
        OR migration_state = 'pre_import_done' AND held_since IS NULL
    )
) NOT VALID;

-- Who leaves the state is held no more, also by a statement of the release before, which does not know of it.
CREATE FUNCTION migration_end_hold() RETURNS trigger LANGUAGE plpgsql AS $trigger$
BEGIN
    NEW.held_since = NULL;
    RETURN NEW;
END
$trigger$;

CREATE TRIGGER container_repositories_end_hold BEFORE UPDATE ON container_repositories
FOR EACH ROW WHEN (OLD.held_since IS NOT NULL AND NEW.migration_state <> 'pre_import_done')
EXECUTE FUNCTION migration_end_hold();

-- What was held for longer is pre-imported again before its final step. 0: never.
ALTER TABLE migration_settings ADD COLUMN repeat_pre_import_after_seconds integer NOT NULL DEFAULT 86400;

ALTER TABLE migration_settings ADD CONSTRAINT repeat_pre_import_is_within_a_week CHECK (
    repeat_pre_import_after_seconds BETWEEN 0 AND 604800
) NOT VALID;

-- The operator who made a change, as they named themselves. It permits nothing.
ALTER TABLE migration_transitions ADD COLUMN operator text;

ALTER TABLE migration_settings_changes ADD COLUMN operator text;

GRANT SELECT, INSERT, UPDATE, DELETE ON migration_holds TO migration_driver;

GRANT SELECT, INSERT ON migration_hold_changes TO migration_driver;

GRANT SELECT ON migration_holds, migration_hold_changes TO migration_reader;
