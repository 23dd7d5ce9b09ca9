-- The operators' switch: off takes the reader out, without a deployment. Where it stands on the writer decides.
ALTER TABLE migration_settings ADD COLUMN reader_enabled boolean NOT NULL DEFAULT true;
