# Builds mediasoup-worker from the sources in mediasoup's npm tarball against
# Debian's libraries, without network. Usage (compat/ lies beside this file):
#   make -f worker.mk -j"$(nproc)" W=node_modules/mediasoup/worker O=.cache/worker
# Every compiled file prints one line; `make count` prints how many there will be.
# Needs: apt-get install g++ make libuv1-dev libssl-dev libsrtp2-dev
#   libflatbuffers-dev flatbuffers-compiler
W := node_modules/mediasoup/worker
O := .cache/worker
COMPAT := $(dir $(lastword $(MAKEFILE_LIST)))compat

# Upstream's own source lists, from its meson.build files.
SRC := $(shell sed -n "/^common_sources/,/^libuv_proj/s/^ *'\(src.*\.cpp\)',$$/\1/p" $(W)/meson.build) src/main.cpp
SRC += $(addprefix deps/libwebrtc/,$(shell sed -n "s/^ *'\(libwebrtc.*\.cc\)',$$/\1/p" $(W)/deps/libwebrtc/meson.build))
OBJ := $(SRC:%=$(O)/obj/%.o)
PCH := $(O)/pch.hpp.gch

CXX := g++
CXXFLAGS := -std=c++20 -O3 -DNDEBUG -DMS_LITTLE_ENDIAN -DMS_EXECUTABLE -DFLATBUFFERS_LOCALE_INDEPENDENT=1 \
  -I$(COMPAT) -I$(O) -I$(W)/include -I$(W)/deps/libwebrtc -I$(W)/deps/libwebrtc/libwebrtc

$(O)/mediasoup-worker: $(OBJ)
	@$(CXX) -s -pthread -o $@ $^ -luv -lsrtp2 -lssl -lcrypto
	@echo built $@

$(O)/obj/%.o: $(W)/% $(PCH)
	@echo $*
	@mkdir -p $(@D)
	@$(CXX) $(CXXFLAGS) -include $(O)/pch.hpp -c -o $@ $<

# Precompiled headers: a third off the build time.
$(PCH): $(O)/FBS
	@printf '#include "%s"\n' ankerl/unordered_dense.h common.hpp FBS/message.h > $(@:.gch=)
	@$(CXX) $(CXXFLAGS) -x c++-header -o $@ $(@:.gch=)

$(O)/FBS: $(wildcard $(W)/fbs/*.fbs)
	@rm -rf $@.tmp && mkdir -p $@.tmp
	@flatc --cpp --cpp-field-case-style lower --reflect-names --scoped-enums --filename-suffix '' -o $@.tmp $^
	@rm -rf $@ && mv $@.tmp $@

count:
	@echo $(words $(OBJ))

.PHONY: count
.DELETE_ON_ERROR:
