-- Who asked for an import is told how it ended, until that is answered.
ALTER TABLE imports ADD COLUMN request_id text;

-- When it is told next. NULL: it was told, or nobody asked.
ALTER TABLE imports ADD COLUMN notice_at timestamptz;

ALTER TABLE imports ADD COLUMN notices integer NOT NULL DEFAULT 0;

-- How many of them were refused.
ALTER TABLE imports ADD COLUMN notices_refused integer NOT NULL DEFAULT 0;

ALTER TABLE imports ADD CONSTRAINT request_id_is_short CHECK (length(request_id) <= 255) NOT VALID;
