"""The database itself refuses to change the audit log; ids come from a sequence that we draw from."""

from django.db import migrations

SEQUENCE = "CREATE SEQUENCE workspaces_auditevent_id_seq OWNED BY workspaces_auditevent.id"
NO_SEQUENCE = "DROP SEQUENCE workspaces_auditevent_id_seq"

TRIGGERS = """
CREATE FUNCTION workspaces_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'The audit log is append-only: % is refused.', TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER audit_no_update BEFORE UPDATE OR DELETE ON workspaces_auditevent
    FOR EACH ROW EXECUTE FUNCTION workspaces_audit_refuse();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON workspaces_auditevent
    FOR EACH STATEMENT EXECUTE FUNCTION workspaces_audit_refuse();
"""
NO_TRIGGERS = """
DROP TRIGGER audit_no_truncate ON workspaces_auditevent;
DROP TRIGGER audit_no_update ON workspaces_auditevent;
DROP FUNCTION workspaces_audit_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0001_initial")]

    operations = [
        migrations.RunSQL(SEQUENCE, NO_SEQUENCE),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
