#!/bin/sh
# Install the package the two ways people do, each into a fresh venv, and ask from another
# directory whether twistd lists the plugin and the netlab command exists. Then make install, in
# place and staged, and run what it put there.
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

copy="$scratch/copy"
for staged in "" "$scratch/stage"; do
    prefix="$scratch/prefix"
    make -s -C "$copy" install PYTHON="$python" PREFIX="$prefix" SYSCONFDIR="$prefix/etc" \
        DESTDIR="$staged"
    if [ -n "$staged" ]; then
        lib="$staged$prefix/lib/netlab"
        if grep -rI "$staged" "$lib/bin" "$lib/pyvenv.cfg" "$staged$prefix/sbin"; then exit 1; fi
        mv "$staged$prefix" "$prefix"
    fi
    (
        cd /
        "$prefix/bin/netlab" --version
        "$prefix/sbin/netlabd" --config "$prefix/etc/netlab.toml" --check-config
    )
    make -s -C "$copy" uninstall PREFIX="$prefix" SYSCONFDIR="$prefix/etc"
    left=$(find "$prefix" -type f -o -type l)
    test -z "$left" || { echo "left: $left"; exit 1; }
    rm -rf "$prefix"
    echo "make install${staged:+ with DESTDIR} gives netlab and netlabd, make uninstall takes them"
done
