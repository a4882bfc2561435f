# The Debian package, made by `cpack` in the build directory: what it holds, where, and what it needs. Included by the root.
include(GNUInstallDirs)
set(ADTRACK_MAINTAINER "adtrack maintainers <maintainers@adtrack.invalid>" CACHE STRING "who answers for the Debian package")

set(debian ${CMAKE_SOURCE_DIR}/config/debian)
set(doc share/doc/adtrack)

# Debian wants these packed, and without the time of packing. Read when the package is made: a build needs none of them.
function(install_packed from to)
  cmake_path(GET from FILENAME name)
  install(CODE "
    set(directory \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${to}\")
    file(MAKE_DIRECTORY \${directory})
    execute_process(COMMAND gzip -9nc ${from} OUTPUT_FILE \${directory}/${name}.gz COMMAND_ERROR_IS_FATAL ANY)")
endfunction()

string(TIMESTAMP ADTRACK_BUILD_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(${debian}/changelog.in ${CMAKE_BINARY_DIR}/debian/changelog @ONLY)
install_packed(${CMAKE_BINARY_DIR}/debian/changelog ${doc})
install_packed(${CMAKE_SOURCE_DIR}/CHANGELOG.md ${doc})
install_packed(${CMAKE_SOURCE_DIR}/README.md ${doc})
install_packed(${debian}/adtrackd.1 share/man/man1)

set(CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
install(TARGETS adtrackd RUNTIME DESTINATION bin)
install(FILES ${debian}/adtrackd.service DESTINATION /lib/systemd/system)
install(FILES ${debian}/adtrackd.toml DESTINATION /etc/adtrack)
install(FILES ${debian}/adtrackd.default DESTINATION /etc/default RENAME adtrackd)
install(FILES ${debian}/copyright ${CMAKE_SOURCE_DIR}/config/adtrackd.toml DESTINATION ${doc})
install(DIRECTORY DESTINATION /var/cache/adtrack) # packages that upgrade.sh goes back to

# What an operator runs on a host, and what these read.
set(host_scripts backup.sh export.sh import.sh make-key.sh make-link.sh replay-verify.sh restate.sh restore.sh upgrade.sh)
set(host_modules adtrack_client.py backup_node.py backup_target.py export_events.py import_events.py lib.sh observer.py replay_verify.py restate_rules.py restore_node.py upgrade_notes.py)
list(TRANSFORM host_scripts PREPEND ${CMAKE_SOURCE_DIR}/scripts/)
list(TRANSFORM host_modules PREPEND ${CMAKE_SOURCE_DIR}/scripts/)
install(PROGRAMS ${host_scripts} DESTINATION share/adtrack/scripts)
install(FILES ${host_modules} DESTINATION share/adtrack/scripts)
install(DIRECTORY config/prometheus config/grafana DESTINATION share/adtrack
  PATTERN tests EXCLUDE PATTERN __pycache__ EXCLUDE PATTERN make_dashboards.py EXCLUDE PATTERN panels.py EXCLUDE)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME adtrack)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${ADTRACK_MAINTAINER})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS ${CMAKE_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_SECTION web)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, curl, init-system-helpers (>= 1.52), python3, tzdata, uap-core")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "open tracker of ad events
Takes clicks, impressions and playbacks of ads over HTTP, writes each to a
durable log before it answers, counts it once however often it is sent, and
answers analytics over any window. One process with its own log, or with
Apache Kafka as the log.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${debian}/postinst ${debian}/prerm ${debian}/postrm ${debian}/conffiles)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION TRUE)
include(CPack)
