SELECT jsonb_build_object('mark', marked.mark, 'due_mark', due.mark)::text
FROM marked
CROSS JOIN due
