-- The digest of the content of each event.
SELECT position, events_event_digest(e) FROM events_event AS e
WHERE position > %s AND position <= %s ORDER BY position LIMIT %s
