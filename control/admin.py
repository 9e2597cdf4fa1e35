"""The task engine's pages, for reading only: a schedule comes from code, a task from a service."""

from django.contrib import admin
from django_q.models import Failure, OrmQ, Schedule, Success

from control.models import Heartbeat
from revfirst.admin import ReadOnlyAdmin

admin.site.site_header = "RevFirst"
admin.site.site_title = "RevFirst"
admin.site.index_title = "Today"
admin.site.enable_nav_sidebar = True

for stock in (Failure, OrmQ, Schedule, Success):
    admin.site.unregister(stock)


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """The timetable as it stands in the database."""

    list_display = ("name", "func", "minutes", "next_run")


@admin.register(Success, Failure)
class TaskAdmin(ReadOnlyAdmin):
    """What tasks said when they ended."""

    list_display = ("func", "started", "stopped", "result")
    fields = ("func", "started", "stopped", "result")


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """Signs of life."""

    list_display = ("name", "at")
