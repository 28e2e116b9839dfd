"""The diff in a comment."""

import pytest

from pipeline import diff

# As Pulumi 3.255 prints it.
PROVIDER = """\
    ~ pulumi:providers:kubernetes: (update)
        [id=d191550a-19bb-42b1-a860-5d4006982321]
        [urn=urn:pulumi:s::probe::pulumi:providers:kubernetes::target-uid]
        clusterIdentifier: "uid"
        kubeconfig       : [secret]
        version          : "4.25.0"
"""
IN_CLEAR = """\
    ~ pulumi:providers:kubernetes: (update)
        [id=a7f7e9a9-78c7-4aba-a8eb-bb2461b514d7]
      ~ kubeconfig: (json) {
          ~ users          : [
              ~ [0]: {
                      ~ user: {
                          ~ token: "t1" => "t2"
                        }
                    }
            ]
        }
"""
CHANGE = """\
    ~ kubernetes:core/v1:Service: (update)
        [id=shop/orders]
      ~ spec: {
"""
SHOWN = "~     kubernetes:core/v1:Service: (update)\n        [id=shop/orders]\n~       spec: {"
NOISE = """\
@ previewing update.....
    [urn=urn:pulumi:prod::a]
    [provider=b]
Update plan written to 'p'
Run `pulumi up --plan='p'` to …
Resources:
    ~ 2 to update
    3 changes. 1 unchanged
"""


def test_diff_leaves_out_lines_without_a_change() -> None:
    assert diff.of(CHANGE + NOISE) == diff.of(NOISE + CHANGE) == SHOWN


@pytest.mark.parametrize("provider", [PROVIDER, IN_CLEAR])
def test_other_credentials_are_no_change(provider: str) -> None:
    assert diff.of(provider + CHANGE) == diff.of(CHANGE + provider) == SHOWN
    assert diff.of(CHANGE + provider + provider + NOISE) == SHOWN


@pytest.mark.parametrize(
    "provider",
    [
        PROVIDER.replace("        version          :", '      ~ version          : "4.24.0" =>'),
        IN_CLEAR + '      + clusterIdentifier: "uid"\n',
        PROVIDER.replace("(update)", "(replace)"),
        PROVIDER.replace("~ pulumi", "+ pulumi").replace("(update)", "(create)"),
    ],
)
def test_further_change_of_a_provider_is_shown(provider: str) -> None:
    assert "pulumi:providers:kubernetes" in diff.of(provider + CHANGE)


def test_sign_begins_the_line_where_it_is_coloured() -> None:
    output = "    + a\n  - b\n    ~ c\n      d\n    --outputs:--"
    assert diff.of(output) == "+     a\n-   b\n~     c\n      d\n    --outputs:--"
