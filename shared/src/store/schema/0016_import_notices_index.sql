-- Few imports have somebody to be told at a time.
CREATE INDEX CONCURRENTLY imports_to_be_told ON public.imports (notice_at) WHERE notice_at IS NOT NULL;
