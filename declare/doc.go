// Package declare reads files that say which toolboxes there shall be: strict TOML, with
// toolboxes that extend others, and variables. docs/apply.md is its page for users. It also
// keeps the lock file beside. It must not know podman or change a toolbox: package
// provision/converge does.
package declare
