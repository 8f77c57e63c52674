// Package pkg holds the commands for the packages in toolboxes, whatever distribution
// they have: upgrade, install, remove, search, outdated.
package pkg
