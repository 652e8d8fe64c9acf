"""Configuration classes: declaration, construction, mapping, hooks, nested ones, native notations."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import typing
from typing import Annotated, Any, ClassVar, Final

import pytest

from headrace.config import (
    BaseConfiguration,
    CredentialsConfiguration,
    NotResolved,
    TSecretStrValue,
    configspec,
    resolve_configuration,
    resolve_type,
)
from headrace.config import secrets as dlt_secrets
from headrace.errors.config import (
    ConfigFieldMissingException,
    ConfigFieldMissingTypeHintException,
    FinalConfigFieldException,
    InvalidNativeValue,
    UnmatchedConfigHintResolversException,
)


@configspec
class Login(CredentialsConfiguration):
    user: str = None
    password: TSecretStrValue = None

    def parse_native_representation(self, native_value: Any) -> None:
        if not isinstance(native_value, str) or not native_value.startswith("login:"):
            raise ValueError(native_value)
        self.user, _, password = native_value[6:].partition("/")
        self.password = password or None


@configspec
class Token(CredentialsConfiguration):
    token: TSecretStrValue = None


@configspec
class Service(BaseConfiguration):
    credentials: Login = None
    size: int = 10


@configspec
class Either(BaseConfiguration):
    credentials: Login | Token = None


@configspec
class Lenient(BaseConfiguration):
    credentials: Login | str = None


@configspec
class Maybe(BaseConfiguration):
    credentials: Login | None = None


@configspec
class Shop(BaseConfiguration):
    a: int
    b: str = "x"
    tags: list[str] = []
    kind: Final[str] = "shop"
    inner: Annotated[int | None, NotResolved()] = None


def test_fields_are_given_by_position_or_name_and_defaults_are_not_shared() -> None:
    shop = Shop(5, b="y")
    assert dict(shop) == {"a": 5, "b": "y", "tags": [], "kind": "shop", "inner": None}
    shop.tags.append("t")
    assert Shop().tags == [] and Shop().a is None
    with pytest.raises(TypeError, match="no field `z`"):
        Shop(z=1)
    with pytest.raises(TypeError, match="two values"):
        Shop(1, a=2)
    with pytest.raises(TypeError):
        Shop(1, "b", [], None, 5)
    assert [f.name for f in dataclasses.fields(Shop)] == ["a", "b", "tags", "kind", "inner"]


def test_a_configuration_is_a_mapping() -> None:
    shop = Shop(5)
    shop["b"] = "z"
    shop.update({"a": 6})
    assert (shop["b"], shop.a, len(shop), "a" in shop, "zz" in shop) == ("z", 6, 5, True, False)
    for wrong in (lambda: shop["zz"], lambda: shop.update({"zz": 1}), lambda: shop.__delitem__("a")):
        with pytest.raises(KeyError):
            wrong()
    assert shop == Shop(6, "z") and shop != Shop(6)
    assert shop.as_dict_nondefault() == {"a": 6, "b": "z"}
    assert list(Shop.get_resolvable_fields()) == ["a", "b", "tags"]


def test_copies_and_pickles_keep_the_values() -> None:
    shop = resolve_configuration(Shop(5))
    for again in (shop.copy(), copy.deepcopy(shop), pickle.loads(pickle.dumps(shop))):
        assert again == shop and again is not shop and again.is_resolved()


def test_an_attribute_without_a_type_is_refused() -> None:
    with pytest.raises(ConfigFieldMissingTypeHintException, match="`a`"):

        @configspec
        class Wrong(BaseConfiguration):
            a = 5


def test_methods_properties_and_class_variables_need_no_type() -> None:
    @configspec
    class Fine(BaseConfiguration):
        section: ClassVar[str] = "x"
        a: int = 1

        @property
        def double(self) -> int:
            return self.a * 2

        @staticmethod
        def one() -> int:
            return 1

    assert dict(Fine(4)) == {"a": 4} and Fine(4).double == 8


def test_a_class_without_the_base_gets_it() -> None:
    @configspec
    class Loose:
        a: int = 1

    assert isinstance(Loose(), BaseConfiguration) and dict(Loose(2)) == {"a": 2}


def test_subclasses_add_fields_and_change_defaults(monkeypatch) -> None:
    @configspec
    class Bigger(Shop):
        b: str = "bigger"
        c: int = 3

    class Undecorated(Bigger):
        pass

    monkeypatch.setenv("C", "4")
    for cls in (Bigger, Undecorated):
        assert dict(resolve_configuration(cls(1))) == {
            "a": 1,
            "b": "bigger",
            "tags": [],
            "kind": "shop",
            "inner": None,
            "c": 4,
        }


def test_final_and_internal_fields_are_not_looked_up(monkeypatch) -> None:
    monkeypatch.setenv("KIND", "other")
    monkeypatch.setenv("INNER", "5")
    found = resolve_configuration(Shop(1))
    assert (found.kind, found.inner) == ("shop", None)
    assert resolve_configuration(Shop(1), explicit_value={"inner": 5}).inner == 5
    with pytest.raises(FinalConfigFieldException):
        resolve_configuration(Shop(1), explicit_value={"kind": "other"})


def test_placeholders_as_defaults_make_required_and_secret_fields(monkeypatch) -> None:
    @configspec
    class Keyed(BaseConfiguration):
        key: str = dlt_secrets.value

    with pytest.raises(ConfigFieldMissingException):
        resolve_configuration(Keyed())
    monkeypatch.setenv("KEY", "hunter2")
    assert resolve_configuration(Keyed()).key == "hunter2"
    assert "hunter2" not in repr(resolve_configuration(Keyed()))


def test_hooks_run_for_every_class_the_base_first() -> None:
    calls: list[str] = []

    @configspec
    class A(BaseConfiguration):
        x: int = None

        def on_resolved(self) -> None:
            calls.append("A resolved")

        def on_partial(self) -> None:
            calls.append("A partial")

    @configspec
    class B(A):
        def on_resolved(self) -> None:
            calls.append("B resolved")

        def on_partial(self) -> None:
            calls.append("B partial")
            self.x = 1
            self.resolve()

    found = resolve_configuration(B())
    assert calls == ["A partial", "B partial", "A resolved", "B resolved"]
    assert found.is_resolved() and not found.is_partial()


def test_an_incomplete_configuration_can_be_accepted() -> None:
    found = resolve_configuration(Service(), accept_partial=True)
    assert found.is_partial() and not found.is_resolved()
    assert found.credentials.user is None and found.size == 10


def test_a_type_can_be_told_at_run_time(monkeypatch) -> None:
    @configspec
    class Chosen(BaseConfiguration):
        credentials: Any = None
        scheme: str = "token"

        @resolve_type("credentials")
        def kind(self) -> Any:
            return Token if self.scheme == "token" else Login

    monkeypatch.setenv("CREDENTIALS__TOKEN", "t")
    monkeypatch.setenv("CREDENTIALS", "login:me/pw")
    with pytest.raises(ConfigFieldMissingException):
        monkeypatch.delenv("CREDENTIALS__TOKEN")
        resolve_configuration(Chosen())
    monkeypatch.setenv("SCHEME", "login")
    assert resolve_configuration(Chosen()).credentials.user == "me"

    @configspec
    class Wrong(BaseConfiguration):
        a: int = 1

        @resolve_type("b")
        def kind(self) -> Any:
            return int

    with pytest.raises(UnmatchedConfigHintResolversException):
        resolve_configuration(Wrong())


# nested configurations and native notations


def test_a_native_value_is_completed_field_by_field(monkeypatch) -> None:
    monkeypatch.setenv("S__CREDENTIALS", "login:me")
    monkeypatch.setenv("CREDENTIALS__PASSWORD", "pw")
    monkeypatch.setenv("S__CREDENTIALS__USER", "another")
    found = resolve_configuration(Service(), sections=("s",)).credentials
    assert (found.user, found.password) == ("me", "pw")


def test_json_is_read_as_native_value_by_every_credentials_class(monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS", '{"user": "me", "password": "pw", "unknown": 1}')
    assert resolve_configuration(Service()).credentials.user == "me"
    monkeypatch.setenv("CREDENTIALS", '{"token": "t"}')
    assert resolve_configuration(Either()).credentials == Token("t")


def test_a_native_value_that_cannot_be_read_is_an_error_without_the_value(monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS", "hunter2")
    with pytest.raises(InvalidNativeValue) as raised:
        resolve_configuration(Service())
    assert "hunter2" not in str(raised.value) and "hunter2" not in repr(raised.value.__dict__)
    assert raised.value.__cause__ is None and raised.value.__context__ is None


def test_the_first_of_a_union_that_resolves_wins(monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS__TOKEN", "t")
    assert isinstance(resolve_configuration(Either()).credentials, Token)
    monkeypatch.setenv("CREDENTIALS", "login:me/pw")
    assert isinstance(resolve_configuration(Either()).credentials, Login)


def test_text_that_no_class_reads_is_text_when_the_union_allows_it(monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS", "plain text")
    assert resolve_configuration(Lenient()).credentials == "plain text"
    assert resolve_configuration(Lenient(), explicit_value={"credentials": "more text"}).credentials == "more text"
    monkeypatch.setenv("CREDENTIALS", "login:me/pw")
    assert resolve_configuration(Lenient()).credentials.user == "me"


def test_an_optional_configuration_that_is_incomplete_is_none(monkeypatch) -> None:
    assert resolve_configuration(Maybe()).credentials is None
    monkeypatch.setenv("CREDENTIALS__USER", "me")
    assert resolve_configuration(Maybe()).credentials is None
    monkeypatch.setenv("CREDENTIALS__PASSWORD", "pw")
    assert resolve_configuration(Maybe()).credentials == Login("me", "pw")


def test_tables_fill_nested_configurations(write_toml) -> None:
    write_toml("secrets.toml", "[s.credentials]\nuser = 'me'\npassword = 'pw'\n")
    assert resolve_configuration(Service(), sections=("s",)).credentials == Login("me", "pw")


@pytest.mark.parametrize(
    "given",
    [{"user": "me", "password": "pw"}, "login:me/pw", Login("me", "pw")],
    ids=["mapping", "native", "instance"],
)
def test_explicit_values_are_not_looked_up(given, monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS__USER", "another")
    monkeypatch.setenv("SIZE", "99")
    found = resolve_configuration(Service(), explicit_value={"credentials": given, "size": 5})
    assert (found.credentials, found.size) == (Login("me", "pw"), 5)
    assert resolve_configuration(Login(), explicit_value=given) == Login("me", "pw")


def test_a_resolved_instance_is_taken_as_it_is() -> None:
    login = Login("me", "pw")
    login.resolve()
    assert resolve_configuration(Service(), explicit_value={"credentials": login}).credentials is login
    assert resolve_configuration(Either(), explicit_value={"credentials": Token("t")}).credentials == Token("t")


def test_an_explicit_none_is_not_looked_up(monkeypatch) -> None:
    monkeypatch.setenv("CREDENTIALS__USER", "me")
    monkeypatch.setenv("CREDENTIALS__PASSWORD", "pw")
    assert resolve_configuration(Maybe(), explicit_value={"credentials": None}).credentials is None
    with pytest.raises(ConfigFieldMissingException) as raised:
        resolve_configuration(Service(), explicit_value={"credentials": None})
    assert raised.value.traces["credentials"][0].provider == "ExplicitValues"


def test_values_of_the_object_are_defaults(monkeypatch) -> None:
    monkeypatch.setenv("SIZE", "99")
    found = resolve_configuration(Service(credentials=Login("me", "pw"), size=5))
    assert (found.credentials.user, found.size) == ("me", 99)
    found = resolve_configuration(Service(credentials="login:me/pw"))
    assert found.credentials.password == "pw"


def test_private_state_that_a_parser_leaves_on_the_object_is_kept() -> None:
    @configspec
    class Connected(CredentialsConfiguration):
        database: str = None

        def parse_native_representation(self, native_value: Any) -> None:
            self.connection = native_value
            self.database = ":external:"
            self.resolve()

    connection = object()
    assert resolve_configuration(Connected(), explicit_value=connection).connection is connection


def test_annotations_that_only_type_checkers_know_do_no_harm() -> None:
    @configspec
    class Odd(BaseConfiguration):
        pool: Annotated[NoSuchThing | None, NotResolved()] = None  # noqa: F821
        a: int = 1

    assert resolve_configuration(Odd()).a == 1


def test_forward_references_inside_hints_are_followed(monkeypatch) -> None:
    monkeypatch.setenv("LATE__A", "5")
    later = configspec(
        type(
            "Later",
            (BaseConfiguration,),
            {"__annotations__": {"late": typing.Optional["Late"]}, "__module__": __name__},
        )
    )
    assert resolve_configuration(later()).late.a == 5


@configspec
class Late(BaseConfiguration):
    a: int = 1
