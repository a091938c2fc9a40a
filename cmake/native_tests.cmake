# C tests: every src/native/test/test_*.c is a program that ctest runs. Every fuzz_*.c is a
# libFuzzer target when the compiler has libFuzzer, which ctest runs for a short while from its
# kept corpus, src/native/test/corpus/fuzz_*.
set(PYLOG_FUZZ_SECONDS 3 CACHE STRING "How long ctest runs each fuzz target")

# A file system that fails on purpose, for tests of whatever writes files.
add_library(pylog_sim_fs STATIC src/native/test/sim_fs.c)
target_compile_options(pylog_sim_fs PRIVATE ${PYLOG_WARNINGS} -UNDEBUG)
target_link_libraries(pylog_sim_fs PUBLIC pylog_codec)

file(GLOB TEST_SOURCES CONFIGURE_DEPENDS src/native/test/test_*.c)
foreach(source IN LISTS TEST_SOURCES)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_compile_options(${name} PRIVATE ${PYLOG_WARNINGS} -UNDEBUG)
  target_link_libraries(${name} PRIVATE pylog_engine pylog_bench pylog_sim_fs m)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT 600)
endforeach()

# Not with the thread sanitizer: the counters of coverage are races by design.
if(CMAKE_C_COMPILER_ID MATCHES "Clang" AND NOT PYLOG_SANITIZE MATCHES "thread")
  file(GLOB FUZZ_SOURCES CONFIGURE_DEPENDS src/native/test/fuzz_*.c)
  # The code under test is instrumented for coverage too.
  foreach(library IN ITEMS pylog_codec pylog_engine)
    target_compile_options(${library} PRIVATE -fsanitize=fuzzer-no-link)
  endforeach()
  foreach(source IN LISTS FUZZ_SOURCES)
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} ${source})
    target_compile_options(${name} PRIVATE ${PYLOG_WARNINGS} -UNDEBUG -fsanitize=fuzzer-no-link)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_libraries(${name} PRIVATE pylog_engine m)
    set(found ${CMAKE_CURRENT_BINARY_DIR}/corpus/${name})
    file(MAKE_DIRECTORY ${found})
    set(kept ${CMAKE_CURRENT_SOURCE_DIR}/src/native/test/corpus/${name})
    if(NOT IS_DIRECTORY ${kept})
      set(kept "")
    endif()
    add_test(NAME ${name}
      COMMAND ${name} -max_total_time=${PYLOG_FUZZ_SECONDS} ${found} ${kept})
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 600)
  endforeach()
endif()
