"""The parts of feedd, each made of the others when it is first wanted, and imported then.

To add one: a property of `Parts`; what has to end with the process is ended in `close`.
"""

import os
from functools import cached_property
from typing import TYPE_CHECKING

from feedd import state
from feedd.bodies import Bodies
from feedd.configured import USER_AGENT
from feedd.databases import open_databases
from feedd.keyring import Keyring
from feedd.settings import Settings
from feedd.store.feeds import stream_position
from feedd.store.migrate import migrate

if TYPE_CHECKING:
    from feedd.fetch import Fetcher
    from feedd.jobs import Jobs
    from feedd.links import PersonalLinks
    from feedd.persons import Persons
    from feedd.previews import Previews
    from feedd.recording import Recorder
    from feedd.rendering import Renderer
    from feedd.stored_templates import StoredTemplates
    from feedd.telling import Telling
    from feedd.templates.wire import Problem
    from feedd.watching import Watching
    from feedd.web_feeds import WebFeeds
    from feedd.webhooks import Webhooks


class Parts:
    """The databases of a state directory, brought up to date, and what works on them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.catalog, self.people = open_databases(settings)
        self.spool_dir = settings.state_dir / "spool"
        self.spool_dir.mkdir(mode=0o700, exist_ok=True)
        # staged rows can outgrow a /tmp in memory
        os.environ["SQLITE_TMPDIR"] = str(self.spool_dir)
        for database in (self.catalog, self.people):
            migrate(database)
        self.keyring = Keyring(self.people)
        self.bodies = Bodies(settings.state_dir / "bodies")
        self.holder = state.instance_id(settings.state_dir)

    @cached_property
    def fetcher(self) -> "Fetcher":
        """What fetches bodies."""
        from feedd.fetch import Fetcher

        return Fetcher(user_agent=USER_AGENT)

    @cached_property
    def webhooks(self) -> "Webhooks":
        """The webhooks, and where each has got to."""
        from feedd.webhooks import Webhooks

        return Webhooks(lambda: self.settings, self.catalog, self.people, user_agent=USER_AGENT)

    @cached_property
    def web_feeds(self) -> "WebFeeds":
        """The web feeds, and the last good body of each."""
        from feedd.web_feeds import WebFeeds

        return WebFeeds(
            lambda: self.settings,
            self.catalog,
            lambda: self.fetcher,
            spool_dir=self.spool_dir,
            holder=self.holder,
        )

    @cached_property
    def recorder(self) -> "Recorder":
        """What people do is recorded by."""
        from feedd.recording import Recorder

        return Recorder(self.people, prepare=self.telling.name_items)

    @cached_property
    def telling(self) -> "Telling":
        """What tells people of items that changed."""
        from feedd.telling import Telling

        return Telling(lambda: self.settings, self.catalog, self.people)

    @cached_property
    def persons(self) -> "Persons":
        """What the command line asks about people is answered by."""
        from feedd.persons import Persons

        return Persons(self.people, lambda: self.recorder)

    @cached_property
    def renderer(self) -> "Renderer":
        """What renders templates."""
        from feedd.rendering import Renderer
        from feedd.rendering.lookups import Lookups, WebFeedBodies
        from feedd.rendering.values import account_of
        from feedd.shelf.view import Shelf

        shelf = Shelf(self.catalog, lambda: self.settings)
        return Renderer(
            lambda: account_of(self.settings.account),
            Lookups(shelf, WebFeedBodies(self.web_feeds.body, self.web_feeds.marks)),
            processes=self.settings.templates.processes,
        )

    @cached_property
    def templates(self) -> "StoredTemplates":
        """The templates of messages that are kept here, and those of the directory."""
        from feedd.stored_templates import StoredTemplates

        return StoredTemplates(
            lambda: self.settings,
            self.people,
            self.renderer.check,
            daemon=self.holder,
            at_once=lambda: max(1, self.renderer.processes - 1),  # one is left for messages
        )

    def check_template(self, source: str) -> "tuple[Problem, ...]":
        """Every problem of a template's source under this configuration. Raises RenderFailed, Overloaded."""
        from feedd.rendering.values import known_of

        return self.renderer.check(source, known_of(self.settings))

    @cached_property
    def links(self) -> "PersonalLinks":
        """Links to people's own pages are made by."""
        from feedd.links import PersonalLinks

        return PersonalLinks(
            lambda: self.settings, self.people, lambda: stream_position(self.catalog)[0]
        )

    @cached_property
    def previews(self) -> "Previews":
        """Single messages are rendered by."""
        from feedd.previews import Previews

        return Previews(
            lambda: self.settings,
            self.people,
            self.persons,
            self.renderer,
            templates=lambda: self.templates,
            links=self.links,
            check=self.check_template,
        )

    @cached_property
    def jobs(self) -> "Jobs":
        """What is sent in bulk is taken and done by."""
        from feedd.jobs import Jobs

        return Jobs(self.people, lambda: self.recorder, holder=self.holder)

    @cached_property
    def watching(self) -> "Watching":
        """What looks at feeds for alerts."""
        from feedd.watching import Watching

        return Watching(lambda: self.settings, self.catalog, self.people, names=self.webhooks.names)

    def close(self) -> None:
        """Have recorded what waits to be, and close the databases."""
        if "templates" in vars(self):  # they were used
            self.templates.close()
        if "renderer" in vars(self):
            self.renderer.close()
        if "recorder" in vars(self):
            self.recorder.stop()
        for database in (self.catalog, self.people):
            database.close()
