-- The rows that were there before the constraint, in a transaction of its own: the one that added it would keep everybody
-- from the table for as long as this takes.
ALTER TABLE imports VALIDATE CONSTRAINT request_id_is_short;
