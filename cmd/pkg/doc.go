// Package pkg holds the commands for the packages in toolboxes of any distribution:
// upgrade, install, remove, search, outdated.
package pkg
