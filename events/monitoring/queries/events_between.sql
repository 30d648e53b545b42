SELECT aggregate_id, type, recorded_at FROM events_event WHERE position > %(after)s AND position <= %(newest)s
