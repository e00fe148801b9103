/** `reg help auth-files` */

export const authFilesPage = `\
Where reg looks for the credential of a registry

  1  -u with --password-stdin, --password-file or $REG_PASSWORD: that one, and
     none that is stored. --anonymous: none at all.
  2  --authfile FILE: that file and no other.
  3  $REGISTRY_AUTH_FILE: that file and no other.
  4  $DOCKER_AUTH_CONFIG: the text of a config.json.
  5  $DOCKER_CONFIG/config.json, else ~/.docker/config.json.
  6  $XDG_RUNTIME_DIR/containers/auth.json, else on Linux
     /run/containers/UID/auth.json.
  7  $XDG_CONFIG_HOME/containers/auth.json, else ~/.config/containers/auth.json.
  8  ~/.dockercfg

The first that knows the registry answers. In one file the helper of credHelpers
is asked first, then that of credsStore (not in Podman's files), then auths is
looked into; of several keys the most specific counts: ghcr.io/o/app before
ghcr.io/o before ghcr.io. --config FOLDER is $DOCKER_CONFIG without 3 and 4.

A login is kept under the registry's name without the port that goes without
saying: one at ghcr.io:443 is kept as ghcr.io. reg finds either, Podman and
Skopeo what they are asked for to the letter: leave that port out there too.

Other files
  ~/.config/reg/trust.json     token servers that may see a credential, beyond
                               what is known: reg trust list
  ~/.config/reg/credentials.json
                               what docker-credential-reg was given to keep
  ~/.cache/reg                 the tokens that are kept: reg cache ls
  certs.d/HOST:PORT            in ~/.docker, ~/.config/docker,
                               ~/.config/containers, /etc/containers and
                               /etc/docker: ca.crt, client.cert, client.key

Where a credential is from, and what it shadows, is what these show:
  reg status
  reg doctor ghcr.io --offline
`;
