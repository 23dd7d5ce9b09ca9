SELECT jsonb_build_object(
    'verdict', decided.verdict,
    'before', decided.migration_state,
    'row', CASE WHEN decided.verdict = 'applied' THEN to_jsonb(changed) ELSE to_jsonb(before) END
)::text
FROM decided
JOIN before ON before.id = decided.id
LEFT JOIN changed ON changed.id = decided.id
