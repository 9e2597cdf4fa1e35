"""The head of a chain moves on by one row at a time, and neither it nor its chain goes away."""

from django.db import migrations

TRIGGERS = """
CREATE FUNCTION workspaces_chain_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.name = OLD.name AND NEW.head_seq = OLD.head_seq + 1 THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'The head of an audit chain only moves on: % is refused.', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER chain_only_grows BEFORE UPDATE OR DELETE ON workspaces_auditchain
    FOR EACH ROW EXECUTE FUNCTION workspaces_chain_refuse();
CREATE TRIGGER chain_no_truncate BEFORE TRUNCATE ON workspaces_auditchain
    FOR EACH STATEMENT EXECUTE FUNCTION workspaces_chain_refuse();
"""
NO_TRIGGERS = """
DROP TRIGGER chain_no_truncate ON workspaces_auditchain;
DROP TRIGGER chain_only_grows ON workspaces_auditchain;
DROP FUNCTION workspaces_chain_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0002_audit_append_only")]

    operations = [migrations.RunSQL(TRIGGERS, NO_TRIGGERS)]
