-- The check that no tag is lost: what a repository had before its final step is compared with what it has after it.

ALTER TABLE migration_settings ADD COLUMN verify_tags boolean NOT NULL DEFAULT true;

-- How far the comparison has come, outside the version but where it says what an operator must know.
ALTER TABLE container_repositories ADD COLUMN tags_check text;

-- How many are missing, and the first of their names.
ALTER TABLE container_repositories ADD COLUMN missing_tags jsonb;

ALTER TABLE container_repositories ADD CONSTRAINT tags_check_is_known CHECK (tags_check IN (
    'tags_due', 'tags_listed', 'tags_counted', 'tags_complete', 'tags_missing', 'tags_accepted', 'tags_unverified'
)) NOT VALID;

ALTER TABLE container_repositories VALIDATE CONSTRAINT tags_check_is_known;

ALTER TABLE container_repositories ADD CONSTRAINT missing_tags_exactly_where_some_are CHECK (
    (missing_tags IS NOT NULL) = (tags_check IS NOT NULL AND tags_check = 'tags_missing')
) NOT VALID;

ALTER TABLE container_repositories VALIDATE CONSTRAINT missing_tags_exactly_where_some_are;

-- What an operator is to look at: counted, and the first of them by path.
CREATE INDEX container_repositories_by_tags_check ON container_repositories (tags_check, path COLLATE "C")
WHERE tags_check IN ('tags_missing', 'tags_unverified');

-- The names of a repository's tags before its final step, until they have been compared. No reader needs them. Without a
-- foreign key, since it is no part of what a second cluster copies; what is left of a removed repository the guard
-- removes.
CREATE TABLE migration_tag_lists (
    repository_id bigint PRIMARY KEY,
    listed_at timestamptz NOT NULL DEFAULT now(),
    -- When the guard looks at it next.
    next_check_at timestamptz NOT NULL DEFAULT now(),
    count bigint NOT NULL,
    -- Of all names, in their order.
    hash text NOT NULL,
    -- A JSON array, compressed; NULL where that is too large.
    names bytea,

    CONSTRAINT names_are_not_large CHECK (length(names) <= 262144)
);

-- Compressed already.
ALTER TABLE migration_tag_lists ALTER COLUMN names SET STORAGE EXTERNAL;

CREATE INDEX migration_tag_lists_due ON migration_tag_lists (next_check_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON migration_tag_lists TO migration_driver;

GRANT SELECT ON migration_tag_lists TO migration_reader;
