-- Return what is wrong with the size or the content of an event's JSON; NULL: nothing. events_validation_error calls it
-- for all but small events.
--
-- PostgreSQL stores JSON that Python cannot read, and each reader of the whole store would stop at such an event.
CREATE FUNCTION events_content_error(data jsonb, metadata jsonb) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_limit CONSTANT bigint := (SELECT 2 * max_event_bytes FROM events_store);
    v_name text;
    v_content jsonb;
    v_text text;
BEGIN
    -- EventStore measures JSON without spaces and in the notation of the caller. PostgreSQL adds spaces and writes numbers
    -- without exponents, so the database allows twice as much.
    IF octet_length(data::text) + octet_length(metadata::text) > v_limit THEN
        RETURN format('the event takes %s bytes as PostgreSQL writes it, with its metadata; at most %s are allowed: twice'
            ' EVENTS_MAX_EVENT_BYTES as of the last "migrate"', octet_length(data::text) + octet_length(metadata::text),
            v_limit);
    END IF;
    FOR v_name, v_content IN VALUES ('data', data), ('metadata', metadata) LOOP
        v_text := v_content;
        -- The expression finds candidates, which may be in strings. Then jsonpath finds the numbers themselves, and only the
        -- huge ones: PostgreSQL takes quadratic time to return many. Python reads integers of at most 4,300 digits
        -- (sys.int_info.default_max_str_digits), and other numbers as floats, which this bound rounds to infinity.
        IF v_text ~ '[0-9]{250}' AND EXISTS (
            SELECT FROM jsonb_path_query(
                v_content, 'strict $.** ? (@ >= 1.797693134862315807e308 || @ <= -1.797693134862315807e308)') AS number
            WHERE strpos(number::text, '.') > 0 OR length(ltrim(number::text, '-')) > 4300
        ) THEN
            RETURN format('the %s has a number that Python cannot read: integers have at most 4,300 digits, and numbers with'
                ' a fraction are below 1.8e308; send it as a string', v_name);
        END IF;
        -- What a float would hold as zero: this bound is half of the smallest float above zero, rounded up.
        IF v_text ~ '0\.0{250}' AND jsonb_path_exists(
            v_content, 'strict $.** ? (@ != 0 && @ <= 2.470328229206233e-324 && @ >= -2.470328229206233e-324)') THEN
            RETURN format('the %s has a number that Python would read as zero: numbers with a fraction are above 2.5e-324;'
                ' send it as a string', v_name);
        END IF;
        -- MAX_DEPTH in events/jsonb.py.
        IF octet_length(v_text) > 508 AND jsonb_path_exists(
            v_content, 'strict $.**{254} ? (@.type() == "object" || @.type() == "array")') THEN
            RETURN format('the %s is nested more than 254 levels deep; flatten it', v_name);
        END IF;
    END LOOP;
    RETURN NULL;
END
$$;
