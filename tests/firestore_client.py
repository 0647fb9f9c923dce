"""Google's own client speaks to the fake of Firestore as it does to the service.

The client is the low-level one of google-cloud-firestore over REST. It builds the requests and reads the answers by the published
protocol definitions, so it finds out whether the fake has its form; what the service would answer it cannot tell.

    pip install google-cloud-firestore==2.34.1
    python3 tests/firestore_client.py
"""

import subprocess
import sys

from google.api_core import exceptions
from google.auth import credentials
from google.cloud.firestore_v1.services.firestore import FirestoreClient
from google.cloud.firestore_v1.services.firestore.transports import FirestoreRestTransport
from google.cloud.firestore_v1.types import common, document, firestore, query, write

DATABASE = "projects/shop-1/databases/(default)"
DOCUMENTS = DATABASE + "/documents"


class Owner(credentials.Credentials):
    """What an emulator is sent in the place of a token."""

    def __init__(self):
        super().__init__()
        self.token = "owner"

    def refresh(self, request):
        pass

    @property
    def expired(self):
        return False

    @property
    def valid(self):
        return True


def update(name, value, **condition):
    fields = {"text": document.Value(string_value=value), "bytes": document.Value(bytes_value=b"\x00\xff")}
    written = write.Write(update=document.Document(name=f"{DOCUMENTS}/{name}", fields=fields))
    if condition:
        written.current_document = common.Precondition(**condition)
    return written


def refused(status, act):
    """What is done is refused with this canonical code, which over HTTP is in the answer alone."""
    try:
        act()
    except exceptions.GoogleAPICallError as error:
        said = error.response.json()
        said = said[0] if isinstance(said, list) else said
        assert said["error"]["status"] == status, said
        return
    raise AssertionError(f"{status} was expected")


def check(client):
    def commit(*writes):
        return client.commit(request=firestore.CommitRequest(database=DATABASE, writes=writes))

    def get(*names):
        request = firestore.BatchGetDocumentsRequest(
            database=DATABASE, documents=[f"{DOCUMENTS}/{name}" for name in names]
        )
        answers = list(client.batch_get_documents(request=request))
        found = {answer.found.name.removeprefix(DOCUMENTS + "/"): answer.found for answer in answers if answer.found.name}
        missing = {answer.missing.removeprefix(DOCUMENTS + "/") for answer in answers if answer.missing}
        return found, missing

    made = commit(update("c/a", "one", exists=False))
    assert len(made.write_results) == 1 and made.commit_time, made
    found, missing = get("c/a", "c/b")
    assert found["c/a"].fields["bytes"].bytes_value == b"\x00\xff" and missing == {"c/b"}, (found, missing)
    assert found["c/a"].update_time == made.write_results[0].update_time
    refused("ALREADY_EXISTS", lambda: commit(update("c/a", "two", exists=False)))
    # Nothing of a commit that is refused takes place.
    refused("ALREADY_EXISTS", lambda: commit(update("c/b", "x"), update("c/a", "two", exists=False)))
    assert get("c/b") == ({}, {"c/b"})
    before = found["c/a"].update_time
    commit(update("c/a", "two", update_time=before))
    refused("FAILED_PRECONDITION", lambda: commit(update("c/a", "three", update_time=before)))
    refused("NOT_FOUND", lambda: commit(update("c/z", "three", update_time=before)))
    refused("INVALID_ARGUMENT", lambda: commit(update("c/__x__", "four")))
    commit(update("c/b", "x"), write.Write(delete=f"{DOCUMENTS}/c/a"))
    assert get("c/a")[1] == {"c/a"}

    def reference(op, name):
        value = document.Value(reference_value=f"{DOCUMENTS}/{name}")
        field = query.StructuredQuery.FieldReference(field_path="__name__")
        return query.StructuredQuery.Filter(
            field_filter=query.StructuredQuery.FieldFilter(field=field, op=op, value=value)
        )

    for number in range(5):
        commit(update(f"c/n{number}", str(number)))
    operator = query.StructuredQuery.FieldFilter.Operator
    structured = query.StructuredQuery(
        from_=[query.StructuredQuery.CollectionSelector(collection_id="c")],
        where=query.StructuredQuery.Filter(
            composite_filter=query.StructuredQuery.CompositeFilter(
                op=query.StructuredQuery.CompositeFilter.Operator.AND,
                filters=[reference(operator.GREATER_THAN, "c/n0"), reference(operator.LESS_THAN, "c/n9")],
            )
        ),
        order_by=[
            query.StructuredQuery.Order(
                field=query.StructuredQuery.FieldReference(field_path="__name__"),
                direction=query.StructuredQuery.Direction.ASCENDING,
            )
        ],
        limit=3,
    )
    answers = client.run_query(request=firestore.RunQueryRequest(parent=DOCUMENTS, structured_query=structured))
    names = [answer.document.name for answer in answers if answer.document.name]
    assert names == [f"{DOCUMENTS}/c/n{number}" for number in (1, 2, 3)], names

    # What a store keeps for queries, as this client reads it.
    parent = f"{DOCUMENTS}/aral_stores/python/aral_conversations/c"
    structured = query.StructuredQuery(
        from_=[query.StructuredQuery.CollectionSelector(collection_id="aral_messages")]
    )
    answers = client.run_query(request=firestore.RunQueryRequest(parent=parent, structured_query=structured))
    contents = [answer.document.fields["content"].string_value for answer in answers if answer.document.name]
    assert contents == ["from Rust"], contents


def main():
    command = ["cargo", "test", "-q", "--features", "firestore", "--test", "suite", "--"]
    command += ["firestore::the_fake_serves_another_program", "--ignored", "--nocapture"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as fake:
        address = next(line.split()[-1] for line in fake.stdout if "SERVING" in line)
        transport = FirestoreRestTransport(
            host=address.removeprefix("http://"), url_scheme="http", credentials=Owner()
        )
        check(FirestoreClient(transport=transport))
        fake.stdin.close()
        fake.stdout.read()
    assert fake.returncode == 0, "the store that the fake kept was touched"
    print("Google's client and the fake understand each other")


if __name__ == "__main__":
    sys.exit(main())
