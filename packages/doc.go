// Package packages speaks to the package manager of a system: it refreshes, upgrades,
// installs, removes, searches, and finds out whether the package manager is whole
// afterwards. One record a package manager says how; see Managers. What is called runs by
// a Runner, as root and with nobody who answers questions.
//
// It must not print, and knows nothing of containers.
package packages
