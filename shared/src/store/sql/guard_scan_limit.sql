    ORDER BY coalesce(c.next_check_at, '-infinity'), c.id
    LIMIT :limit
) AS hinted
