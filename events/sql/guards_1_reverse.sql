DROP TRIGGER events_seal_immutable ON events_seal;
DROP TRIGGER events_aggregate_kept ON events_aggregate;
DROP TRIGGER events_aggregate_appended ON events_aggregate;
DROP TRIGGER events_event_appended ON events_event;
DROP TRIGGER events_event_immutable ON events_event;
DROP FUNCTION events_refuse_change();
