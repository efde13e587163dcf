"""What changed, told after it is durable: in order, and at least once across failovers.

Whoever changes something publishes an event in the same transaction; a subscriber on the leader
hears of it once a quorum has that transaction:

    events = Events(store)
    with store.begin() as connection:
        connection.execute(...)
        events.publish(connection, "task", {"id": "web-0", "status": "RUNNING"})

    with events.subscribe("scheduling", handle):
        ...

Events are rows of a table, so they are replicated with what they tell of. A subscriber's cursor is
one, too: the next leader goes on where it was saved last, which may be a little before where the
last one had come to. Events that every subscriber is past are deleted, with the saving of a cursor.
This is the pattern known as a transactional outbox.
"""

from aurora_store.events.outbox import REVISIONS, Event, Events, Subscription, metadata

__all__ = ["REVISIONS", "Event", "Events", "Subscription", "metadata"]
