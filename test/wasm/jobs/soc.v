// SPDX-License-Identifier: Apache-2.0
// A small computer for tests of synthesis: most of RV32I in two or three cycles an instruction, 1 KiB of memory, a
// serial port. What is in memory at the start prints "Lodge\n", again and again.
module uart #(parameter DIVIDER = 4) (
    input clk, input reset, input [7:0] data, input send, output reg tx, output busy);
  reg [9:0] shift;
  reg [3:0] left;
  reg [15:0] ticks;
  assign busy = left != 0;
  always @(posedge clk)
    if (reset) begin
      tx <= 1'b1;
      left <= 0;
      ticks <= 0;
      shift <= 10'h3ff;
    end else if (send && !busy) begin
      shift <= {1'b1, data, 1'b0};
      left <= 4'd10;
      ticks <= 0;
    end else if (busy) begin
      tx <= shift[0];
      if (ticks == DIVIDER - 1) begin
        shift <= {1'b1, shift[9:1]};
        left <= left - 1'b1;
        ticks <= 0;
      end else
        ticks <= ticks + 1'b1;
    end
endmodule

module alu (input [31:0] a, input [31:0] b, input [2:0] op, input other, output reg [31:0] y);
  wire [4:0] n = b[4:0];
  always @*
    case (op)
      3'd0: y = other ? a - b : a + b;
      3'd1: y = a << n;
      3'd2: y = {31'b0, $signed(a) < $signed(b)};
      3'd3: y = {31'b0, a < b};
      3'd4: y = a ^ b;
      3'd5: y = other ? $unsigned($signed(a) >>> n) : a >> n;
      3'd6: y = a | b;
      3'd7: y = a & b;
    endcase
endmodule

module cpu (
    input clk, input reset, output [31:0] address, output [31:0] out, output reg [3:0] write,
    output read, input [31:0] in, input ready);
  localparam FETCH = 2'd0, EXECUTE = 2'd1, LOAD = 2'd2;
  reg [1:0] state;
  reg [31:0] pc, insn;
  reg [31:0] x [0:31];
  wire [6:0] opcode = insn[6:0];
  wire [4:0] rd = insn[11:7];
  wire [2:0] f3 = insn[14:12];
  wire is_lui = opcode == 7'h37, is_auipc = opcode == 7'h17, is_jal = opcode == 7'h6f;
  wire is_jalr = opcode == 7'h67, is_branch = opcode == 7'h63, is_load = opcode == 7'h03;
  wire is_store = opcode == 7'h23, is_reg = opcode == 7'h33;
  wire [31:0] imm_i = {{20{insn[31]}}, insn[31:20]};
  wire [31:0] imm_s = {{20{insn[31]}}, insn[31:25], insn[11:7]};
  wire [31:0] imm_b = {{19{insn[31]}}, insn[31], insn[7], insn[30:25], insn[11:8], 1'b0};
  wire [31:0] imm_u = {insn[31:12], 12'b0};
  wire [31:0] imm_j = {{11{insn[31]}}, insn[31], insn[19:12], insn[20], insn[30:21], 1'b0};
  wire [31:0] a = insn[19:15] == 0 ? 0 : x[insn[19:15]];
  wire [31:0] b = insn[24:20] == 0 ? 0 : x[insn[24:20]];
  wire [31:0] sum;
  alu alu (.a(a), .b(is_reg ? b : imm_i), .op(f3),
           .other(insn[30] && (is_reg || f3 == 3'd5)), .y(sum));
  wire less = f3[1] ? a < b : $signed(a) < $signed(b);
  wire taken = (f3[2] ? less : a == b) ^ f3[0];
  wire [31:0] place = a + (is_store ? imm_s : imm_i);
  assign address = state == FETCH ? pc : place;
  assign read = state == FETCH || state == LOAD || (state == EXECUTE && is_load);
  assign out = f3 == 3'd0 ? {4{b[7:0]}} : f3 == 3'd1 ? {2{b[15:0]}} : b;
  wire [31:0] lane = in >> {place[1:0], 3'b0};
  wire [31:0] loaded = f3[1] ? in : f3[0] ? {{16{lane[15] & ~f3[2]}}, lane[15:0]}
                                          : {{24{lane[7] & ~f3[2]}}, lane[7:0]};
  always @* begin
    write = 0;
    if (state == EXECUTE && is_store)
      case (f3[1:0])
        2'd0: write = 4'b0001 << place[1:0];
        2'd1: write = 4'b0011 << place[1:0];
        default: write = 4'b1111;
      endcase
  end
  always @(posedge clk)
    if (reset) begin
      state <= FETCH;
      pc <= 0;
      insn <= 32'h13;
    end else if (ready)
      case (state)
        FETCH: begin
          insn <= in;
          state <= EXECUTE;
        end
        EXECUTE: begin
          state <= is_load ? LOAD : FETCH;
          if (!is_load)
            pc <= is_jal ? pc + imm_j : is_jalr ? place & ~32'd1
                : is_branch && taken ? pc + imm_b : pc + 4;
          if (rd != 0 && !is_branch && !is_store && !is_load)
            x[rd] <= is_lui ? imm_u : is_auipc ? pc + imm_u
                   : is_jal || is_jalr ? pc + 4 : sum;
        end
        default: begin
          state <= FETCH;
          pc <= pc + 4;
          if (rd != 0)
            x[rd] <= loaded;
        end
      endcase
endmodule

module soc (input clk, input reset, output tx, output [7:0] leds);
  wire [31:0] address, out;
  wire [3:0] write;
  wire read, busy;
  reg [31:0] memory [0:255];
  reg [31:0] word;
  reg waited;
  reg [7:0] lit;
  wire device = address[31];
  wire [31:0] in = device ? {31'b0, busy} : word;
  wire ready = waited || !read || device;
  assign leds = lit;
  integer i;
  initial begin
    for (i = 0; i < 256; i = i + 1) memory[i] = 32'h00000013;
    memory[0] = 32'h800000b7;  // lui x1, 0x80000: the port
    memory[1] = 32'h04000113;  // li x2, 0x40: the text
    memory[2] = 32'h00014183;  // lbu x3, 0(x2)
    memory[3] = 32'hfe018ce3;  // beqz x3, 2 back
    memory[4] = 32'h0000a203;  // lw x4, 0(x1)
    memory[5] = 32'hfe021ee3;  // bnez x4, 1 back
    memory[6] = 32'h00308023;  // sb x3, 0(x1)
    memory[7] = 32'h00110113;  // addi x2, x2, 1
    memory[8] = 32'hfe9ff06f;  // j 6 back
    memory[16] = 32'h67646f4c; // "Lodg"
    memory[17] = 32'h00000a65; // "e\n"
  end
  always @(posedge clk) begin
    word <= memory[address[9:2]];
    waited <= read && !device && !waited && !reset;
    if (!device) begin
      if (write[0]) memory[address[9:2]][7:0] <= out[7:0];
      if (write[1]) memory[address[9:2]][15:8] <= out[15:8];
      if (write[2]) memory[address[9:2]][23:16] <= out[23:16];
      if (write[3]) memory[address[9:2]][31:24] <= out[31:24];
    end else if (write[0])
      lit <= out[7:0];
  end
  cpu cpu (.clk(clk), .reset(reset), .address(address), .out(out), .write(write), .read(read),
           .in(in), .ready(ready));
  uart uart (.clk(clk), .reset(reset), .data(out[7:0]), .send(device && write[0]), .tx(tx),
             .busy(busy));
endmodule
