"""The schedule: what `schedule.yml` owes, run once for each slot, however often and by however many it is asked.

A slot is one time of one schedule; it is done when a report was published for it, or a template said that there is
nothing to report. No process has to stay alive for it: `run_due` is called by cron, by CI or by hand, and runs what
`find_owed` finds. `send_alerts` then tells people, on the routes of `alerts.yml`, what the reports have found.
"""

from toolkit.schedule.alert_routes import AlertsFile, QuietHours, Route, load_alerts
from toolkit.schedule.alerts import Delivery, send_alerts
from toolkit.schedule.definitions import CalendarRule, ScheduleDefinition, ScheduleFile, load_schedules
from toolkit.schedule.due import Outcome, run_due
from toolkit.schedule.owed import Done, Owed, find_done, find_next, find_owed
from toolkit.schedule.slots import list_slots

__all__ = [
    "AlertsFile",
    "CalendarRule",
    "Delivery",
    "Done",
    "Outcome",
    "Owed",
    "QuietHours",
    "Route",
    "ScheduleDefinition",
    "ScheduleFile",
    "find_done",
    "find_next",
    "find_owed",
    "list_slots",
    "load_alerts",
    "load_schedules",
    "run_due",
    "send_alerts",
]
