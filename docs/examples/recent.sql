-- Of postgres-local.yaml. Variables are expanded here, too.
SELECT id, customer_id, total FROM orders WHERE id <= ${MOST_ID}
