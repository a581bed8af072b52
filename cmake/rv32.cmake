# RV32IMC with Debian's cross compiler: the multilib lookup needs the old ISA spelling (no _zicsr), and picolibc's headers.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_C_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_C_FLAGS_INIT "-march=rv32imc -mabi=ilp32 -misa-spec=2.2 --specs=picolibc.specs -ffreestanding -Os -g -msave-restore -ffunction-sections -fdata-sections")
set(CMAKE_ASM_FLAGS_INIT "-march=rv32imc -mabi=ilp32 -misa-spec=2.2 -g")
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
