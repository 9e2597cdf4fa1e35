"""Rows with only what the model demands."""

from datetime import timedelta

import factory
from django.utils import timezone

from publishing.models import Kind, QueueItem
from workspaces.models import Membership, User, Workspace
from x_integration.crypto import Secret, keyed_hash
from x_integration.models import SourcePost, XAccount


class UserFactory(factory.django.DjangoModelFactory):
    """A person who can enter the admin."""

    class Meta:
        model = User

    username = factory.Sequence("person{}".format)
    is_staff = True


class WorkspaceFactory(factory.django.DjangoModelFactory):
    """A team; `owner=` makes the membership."""

    class Meta:
        model = Workspace
        skip_postgeneration_save = True

    slug = factory.Sequence("team-{}".format)
    name = "A team"
    created_at = factory.LazyFunction(timezone.now)

    @factory.post_generation
    def owner(self, create, extracted, **kwargs):
        if extracted:
            MembershipFactory(workspace=self, user=extracted, role=Membership.Role.OWNER)


class MembershipFactory(factory.django.DjangoModelFactory):
    """A person's role."""

    class Meta:
        model = Membership

    workspace = factory.SubFactory(WorkspaceFactory)
    user = factory.SubFactory(UserFactory)
    role = Membership.Role.ADMIN


class XAccountFactory(factory.django.DjangoModelFactory):
    """A connected account whose tokens X may or may not know."""

    class Meta:
        model = XAccount
        exclude = ("access", "refresh")

    access = "an-access-token"
    refresh = "a-refresh-token"
    workspace = factory.SubFactory(WorkspaceFactory)
    x_user_id = factory.Sequence(lambda n: str(1000 + n))
    username = factory.Sequence("account{}".format)
    connected_at = factory.LazyFunction(timezone.now)
    updated_at = factory.LazyFunction(timezone.now)
    access_token = factory.LazyAttribute(lambda o: Secret.seal(o.access) if o.access else None)
    access_token_hash = factory.LazyAttribute(lambda o: keyed_hash(o.access) if o.access else "")
    refresh_token = factory.LazyAttribute(lambda o: Secret.seal(o.refresh) if o.refresh else None)
    refresh_token_hash = factory.LazyAttribute(lambda o: keyed_hash(o.refresh) if o.refresh else "")
    scope = "tweet.read tweet.write users.read offline.access"
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=2))
    token_version = 1


class SourcePostFactory(factory.django.DjangoModelFactory):
    """Something said to the workspace's account."""

    class Meta:
        model = SourcePost

    workspace = factory.SubFactory(WorkspaceFactory)
    x_post_id = factory.Sequence(lambda n: str(1_900_000_000_000_000_000 + n))
    author_id = "77"
    author_username = "lia"
    text = "What a morning!"
    lang = "en"
    posted_at = factory.LazyFunction(timezone.now)
    eligibility = SourcePost.Eligibility.SUMMONED
    eligibility_reason = "mentions_us"
    payload = factory.LazyFunction(dict)
    ingested_at = factory.LazyFunction(timezone.now)


class QueueItemFactory(factory.django.DjangoModelFactory):
    """A pending reply."""

    class Meta:
        model = QueueItem

    workspace = factory.SubFactory(WorkspaceFactory)
    number = factory.Sequence(lambda n: n + 1001)  # a test may name a small one
    kind = Kind.REPLY
    text = factory.Sequence("Thank you, Lia! ({})".format)
    source_post = factory.SubFactory(
        SourcePostFactory, workspace=factory.SelfAttribute("..workspace")
    )
    origin = "template"
    template = "en/thanks:1"
    created_at = factory.LazyFunction(timezone.now)
    moved_at = factory.LazyFunction(timezone.now)
