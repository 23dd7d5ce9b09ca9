-- The call that registered the row: the same statement, sent again because nobody knows whether it ran, recognises
-- the rows that are its own work, whatever has become of them since.
ALTER TABLE container_repositories ADD COLUMN registration uuid;
