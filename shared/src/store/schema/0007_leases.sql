-- Which guard looks at a row, and until when nobody else does. No change of the row, so outside its version.
ALTER TABLE container_repositories ADD COLUMN lease uuid;

ALTER TABLE container_repositories ADD COLUMN leased_until timestamptz;
