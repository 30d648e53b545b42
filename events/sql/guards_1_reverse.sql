DROP TRIGGER events_aggregate_not_reset ON events_aggregate;
DROP TRIGGER events_aggregate_not_deleted ON events_aggregate;
DROP TRIGGER events_aggregate_kept ON events_aggregate;
DROP TRIGGER events_event_immutable ON events_event;
DROP FUNCTION events_refuse_change();
