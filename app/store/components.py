"""Components: their names and their order."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.store import Refused, Unknown
from app.store.audit import MACHINE, Actor, note_change
from app.store.names import check_name
from app.store.rows import find
from app.store.tables import AuditLine, Component

# A status board must be readable at a glance.
COMPONENTS_AT_MOST = 100

# What the audit says about each change to them; `have_changed` looks for these.
ADDED, RENAMED, MOVED = "added component", "renamed component", "moved component"
ARCHIVED, RESTORED = "archived component", "restored component"
CHANGES = (ADDED, RENAMED, MOVED, ARCHIVED, RESTORED)

NO_COMPONENT = "One of these components is no longer there. Choose again."


def read_components(session: Session) -> Sequence[Component]:
    """Return the components that are not archived, in their order."""
    shown = select(Component).where(Component.archived_at.is_(None))
    return session.scalars(shown.order_by(Component.position, Component.id)).all()


def read_archived(session: Session) -> Sequence[Component]:
    archived = select(Component).where(Component.archived_at.is_not(None))
    return session.scalars(archived.order_by(Component.name)).all()


def have_changed(session: Session, since: int) -> bool:
    """Whether components, their names or their order have changed since this change."""
    changes = select(AuditLine.id).where(AuditLine.change > since, AuditLine.action.in_(CHANGES))
    return session.scalars(changes.limit(1)).first() is not None


def read_chosen(session: Session, ids: Iterable[int]) -> list[Component]:
    """Return the components with these ids; raises `Refused` if one does not exist, or is archived."""
    wanted = set(ids)
    chosen = [component for component in read_components(session) if component.id in wanted]
    if len(chosen) < len(wanted):
        raise Refused(NO_COMPONENT, "components")
    return chosen


def add_component(session: Session, name: str, by: Actor = MACHINE) -> Component:
    """Add a component after the others; raises `Refused`."""
    name = check_name(name)
    refuse_taken(session, name)
    if len(read_components(session)) >= COMPONENTS_AT_MOST:
        raise Refused(f"There are {COMPONENTS_AT_MOST} components already. Archive one first.", "name")
    last = session.scalars(select(func.coalesce(func.max(Component.position), 0))).one()
    component = Component(name=name, position=last + 1, created_at=datetime.now(UTC))
    session.add(component)
    session.flush()
    note_change(session, by, ADDED, name)
    return component


def rename_component(session: Session, component_id: int, name: str, by: Actor = MACHINE) -> Component:
    """Rename a component; raises `Unknown`, `Refused`."""
    component = find(session, Component, component_id)
    name = check_name(name)
    if name != component.name:
        refuse_taken(session, name)
        note_change(session, by, RENAMED, f"{component.name} → {name}")
        component.name = name
    return component


def refuse_taken(session: Session, name: str) -> None:
    if session.scalars(select(Component.id).where(Component.name == name)).first() is not None:
        raise Refused("There is a component of this name already, perhaps an archived one.", "name")


def move_component(session: Session, component_id: int, up: bool, by: Actor = MACHINE) -> None:
    """Swap a component with its neighbour above or below, if it has one; raises `Unknown`."""
    component = find(session, Component, component_id)
    order = list(read_components(session))
    if component not in order:
        raise Unknown("This component is archived.")
    old = order.index(component)
    new = max(0, min(len(order) - 1, old - 1 if up else old + 1))
    order.insert(new, order.pop(old))
    for position, each in enumerate(order, 1):
        each.position = position
    note_change(session, by, MOVED, component.name)


def archive_component(session: Session, component_id: int, archived: bool, by: Actor = MACHINE) -> None:
    """Archive a component, or show it again; raises `Unknown`."""
    component = find(session, Component, component_id)
    component.archived_at = datetime.now(UTC) if archived else None
    note_change(session, by, ARCHIVED if archived else RESTORED, component.name)
