"""Attachments: their rows alone. The files are the business of who takes and sends them."""

from sqlalchemy.orm import Session

from app.store.errors import UnknownAttachment, check_id
from app.store.tables import Attachment


def read_attachment(session: Session, attachment_id: int) -> Attachment:
    """Return the attachment; raises `UnknownAttachment`."""
    check_id(attachment_id, UnknownAttachment)
    found = session.get(Attachment, attachment_id)
    if found is None:
        raise UnknownAttachment(attachment_id)
    return found
