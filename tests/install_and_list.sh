#!/bin/sh
# Install the package the two ways people do, each into a fresh venv, and ask from another
# directory whether twistd lists the plugin and the netlab command exists.
#
#     sh tests/install_and_list.sh python3.11
set -eu
python=$1
source=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for way in "" "-e"; do
    venv="$scratch/venv$way"
    cp -R "$source" "$scratch/copy$way"
    rm -rf "$scratch/copy$way/.venv" "$scratch/copy$way/build"
    "$python" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check $way "$scratch/copy$way"
    (
        cd /
        "$venv/bin/python" -c '
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
names = [maker.tapname for maker in getPlugins(IServiceMaker)]
assert "netlab" in names, names
assert "web" in names, "the plugins of Twisted itself are gone"
'
        "$venv/bin/netlab" --version
        "$venv/bin/twistd" netlab --check-config
    )
    echo "pip install $way . lists the plugin"
done
