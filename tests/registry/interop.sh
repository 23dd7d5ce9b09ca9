#!/usr/bin/env bash
# Independent tools agree with this crate about storages and images:
#   1. Debian's docker-registry serves a storage that `local-registry make-storage` wrote;
#   2. local-registry migrates a storage that docker-registry wrote and skopeo filled;
#   3. what it migrated is pulled from it, and from docker-registry on the new storage, with the same digests;
#   4. skopeo pushes to it.
# Installs skopeo where it is missing (apt-get, as root or through sudo), and unpacks docker-registry into target/tools.
# Leaves nothing that runs.
set -euo pipefail
cd "$(dirname "$0")"

. ./outside.sh

cargo build --quiet -p local-registry
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
local_registry=$target/debug/local-registry

# serve NAME OLD NEW [FLAG]: starts ours; its address is in $address afterwards.
serve() {
    "$local_registry" serve --listen 127.0.0.1:0 --old-storage "$2" --new-storage "$3" \
        --token-public-key "$work/public.pem" --max-concurrent-imports 100 ${4-} >"$work/$1.json" 2>"$work/$1.log" &
    pids+=($!)
    until_ok grep -q ready "$work/$1.json"
    address=$(field url <"$work/$1.json")
    address=${address#http://}
}

has_status() { # ADDRESS REPOSITORY STATUS
    curl -sSf "http://$1/-/statuses" | python3 -c 'import json,sys
wanted = (sys.argv[1], sys.argv[2])
sys.exit(wanted not in [(entry["path"], entry["status"]) for entry in json.load(sys.stdin)])' "$2" "$3"
}

import() { # ADDRESS REPOSITORY STEP STATUS-AFTERWARDS
    curl -sSf -X PUT -H "Authorization: Bearer $token" "http://$1/gitlab/v1/import/$2/?import_type=$3"
    until_ok has_status "$1" "$2" "$4"
}

"$local_registry" make-keys "$work" >/dev/null
token=$("$local_registry" token --private-key "$work/private.pem")
"$local_registry" make-storage "$work/made" --repositories 6 >/dev/null

serve ours-made "$work/made" "$work/unused" --before-migration-mode; ours_made=$address
docker_registry debian-made "$work/made"; debian_made=$address
digests "$ours_made" >"$work/1-ours"
digests "$debian_made" >"$work/1-debian"
same "docker-registry serves what make-storage wrote as local-registry does" "$work/1-ours" "$work/1-debian"

docker_registry debian-old "$work/old"; debian_old=$address
copy "$debian_made" "$debian_old"
digests "$debian_old" >"$work/2-old"
same "skopeo copied all of it into an empty docker-registry" "$work/1-debian" "$work/2-old"

# In migration mode the catalogue lists nothing that has not been migrated.
serve ours "$work/old" "$work/new" --before-migration-mode; ours=$address
before=$(repositories "$ours")
curl -sSf -X PUT -d true "http://$ours/-/migration-mode"
for repository in $before; do
    import "$ours" "$repository" pre pre_import_complete
    import "$ours" "$repository" final import_complete
done
"$local_registry" verify "$work/old" "$work/new" >"$work/verified"
echo "ok  local-registry migrated a storage that docker-registry wrote ($(wc -l <"$work/verified") repositories verified)"
digests "$ours" >"$work/3-ours"
same "skopeo pulls the same digests from local-registry after the migration" "$work/2-old" "$work/3-ours"
docker_registry debian-new "$work/new"; debian_new=$address
docker_registry debian-check "$work/check"; debian_check=$address
copy "$debian_new" "$debian_check"
digests "$debian_check" >"$work/3-debian"
same "docker-registry serves the new storage, every blob pulled with the same digest" "$work/2-old" "$work/3-debian"

serve ours-empty "$work/nothing" "$work/pushed"; ours_empty=$address
copy "$debian_made" "$ours_empty"
digests "$ours_empty" >"$work/4-ours"
same "skopeo pushes to local-registry" "$work/1-debian" "$work/4-ours"
