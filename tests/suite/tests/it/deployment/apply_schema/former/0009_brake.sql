-- What holds starts back, besides the kill switch. Outside of the settings' version and history: the driver itself
-- writes it, and only where something changes. As long as nothing has there is no row. Who changes it has locked its
-- repository and its slot before, and locks nothing after it.
CREATE TABLE migration_brake (
    id boolean PRIMARY KEY DEFAULT true,
    -- +1 at every change: where two must not both start, only one of them finds it as it was read.
    turn bigint NOT NULL DEFAULT 0,
    -- The circuit breaker. The repositories that failed in a row, each with when it did last.
    failures jsonb NOT NULL DEFAULT '{}',
    -- It is open since then.
    opened_at timestamptz,
    -- While it is open one start is let through from then on.
    next_start_at timestamptz,
    -- The last cancelation that nobody here had asked for, and whose it was.
    canceled_at timestamptz,
    canceled_repository_id bigint,
    -- The registry stops: nothing is started before.
    stopped_until timestamptz,
    -- The registry has no room: nothing is asked for before, and then one start is let through.
    full_until timestamptz,
    -- That one is on its way.
    full_tried boolean NOT NULL DEFAULT false,

    CONSTRAINT there_is_one_brake CHECK (id)
);

GRANT SELECT, INSERT, UPDATE ON migration_brake TO migration_driver;

GRANT SELECT ON migration_brake TO migration_reader;

-- So many different repositories that fail in a row, within a minute, open the circuit breaker. 0: none do.
ALTER TABLE migration_settings ADD COLUMN circuit_breaker_failures integer NOT NULL DEFAULT 10;

ALTER TABLE migration_settings ADD CONSTRAINT circuit_breaker_can_be_reached CHECK (
    circuit_breaker_failures BETWEEN 0 AND 1000
);
