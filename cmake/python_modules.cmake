# The extension modules of the package pylog: Cython where a PyObject is touched, Limited API.

find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module
  Development.SABIModule)

# pylog_cython_module(<name> <source.pyx>): the module pylog.<name>.
function(pylog_cython_module name source)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  add_custom_command(
    OUTPUT ${generated}
    COMMAND Python::Interpreter -m cython -3 --module-name pylog.${name}
      ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${generated}
    DEPENDS ${source}
    VERBATIM)
  python_add_library(${name} MODULE WITH_SOABI USE_SABI 3.11 ${generated})
  target_compile_definitions(${name} PRIVATE CYTHON_LIMITED_API=1)
  target_link_libraries(${name} PRIVATE pylog_codec)
  install(TARGETS ${name} LIBRARY DESTINATION pylog)
endfunction()

pylog_cython_module(_wire src/native/bind/wire.pyx)
pylog_cython_module(_codec src/native/bind/codec.pyx)

# The codec for C programs: pylog.codec.get_include and get_library tell where it is.
install(TARGETS pylog_codec ARCHIVE DESTINATION pylog/lib)
install(FILES src/native/include/pylog/codec.h DESTINATION pylog/include/pylog)
install(FILES src/native/base/bytes.h src/native/base/cursor.h src/native/base/err.h
  src/native/base/limits.h DESTINATION pylog/include/pylog/base)

# pylog_cffi_module(<name> <build.py> <header> <library>): the module pylog.<name>, whose
# definition `build.py` reads from the header.
function(pylog_cffi_module name script header library)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/${name}.c)
  add_custom_command(
    OUTPUT ${generated}
    COMMAND Python::Interpreter -m cffi.gen_src exec-python
      ${CMAKE_CURRENT_SOURCE_DIR}/${script} ${generated}
    DEPENDS ${script} ${header}
    VERBATIM)
  python_add_library(${name} MODULE WITH_SOABI USE_SABI 3.11 ${generated})
  target_link_libraries(${name} PRIVATE ${library})
  install(TARGETS ${name} LIBRARY DESTINATION pylog)
endfunction()


pylog_cffi_module(_engine src/native/bind/engine_build.py
  "src/native/include/pylog/engine.h;src/native/log/inspect.h;src/native/log/log.h" pylog_engine)
pylog_cffi_module(_bench src/native/bind/bench_build.py
  "src/native/bench/load.h;src/native/bench/pieces.h;src/native/bench/process.h" pylog_bench)
